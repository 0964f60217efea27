"""Bodies of /jobs/{id}/q-curve."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.http.openapi import keep_examples
from api.http.schemas import ResponseModel

POINT_EXAMPLE: dict[str, Any] = {
    "name": "layer1.0",
    "index": 1,
    "relative_depth": 0.5,
    "kind": "BasicBlock",
    "shape": [16, 28, 28],
    "separation": 0.21,
    "information": 1.4,
    "efficiency": 0.8,
    "quality": 1.27,
    "minimum_similarity": 0.4,
    "entropy": 3.7,
    "nearest_distance": 2.9,
    "mean_norm": 11.0,
    "pooled": False,
    "standard_error": None,
    "samples": None,
}


class CurvePointOut(ResponseModel):
    """One scored layer: separation S, information I, efficiency E and quality Q = S + sqrt(I E)."""

    name: str
    index: int
    relative_depth: float
    kind: str
    shape: list[int]
    separation: float
    information: float
    efficiency: float
    quality: float
    minimum_similarity: float
    entropy: float
    nearest_distance: float
    mean_norm: float
    pooled: bool
    standard_error: dict[str, float] | None
    samples: int | None = Field(None, description="How many of the curve's samples the layer is scored on; null: all.")


@keep_examples
class CurveOut(ResponseModel):
    """The Q curve, as far as it is scored."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "job_id": "job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
                    "teacher": "tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
                    "position": 0,
                    "complete": False,
                    "total_layers": 18,
                    "samples": 1000,
                    "classes": 10,
                    "train_size": 54000,
                    "seed": 0,
                    "digest": "0" * 64,
                    "reused": False,
                    "chosen": [],
                    "rule": "",
                    "reading": None,
                    "layers": [POINT_EXAMPLE],
                }
            ]
        },
    )
    job_id: str
    teacher: str | None = Field(None, description="Whose curve it is.")
    position: int = Field(0, description="Its place among the job's teachers, from 0.")
    complete: bool = Field(description="Whether every layer is scored.")
    total_layers: int | None = Field(description="null until scoring has begun.")
    samples: int | None
    classes: int | None
    train_size: int | None
    seed: int | None
    digest: str
    grouping: Literal["labels", "pseudo_classes"] = Field(
        "labels",
        description="What the classes are: the dataset's labels, or k-means clusters of the teacher's deepest feature.",
    )
    reused: bool = Field(description="Taken from an earlier job with the same teacher, data and parameters.")
    chosen: list[int] = Field(description="Indices of the layers to distil, in depth order; empty until chosen.")
    rule: str
    reading: str | None = Field(description="What the curve says so far, in words; null before the first layer.")
    layers: list[CurvePointOut] = Field(description="In depth order.")
