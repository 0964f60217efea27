"""Bodies of /jobs/{id}/disagreements."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from api.http.openapi import keep_examples
from api.http.paging import PageInfo
from api.http.schemas import ResponseModel

EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "rank": 1,
            "sample": 4711,
            "score": 0.83,
            "label": {"label": "shirt"},
            "student": {"label": "coat", "probability": 0.71},
            "teacher": {"label": "shirt", "probability": 0.94},
            "name": None,
            "text": None,
            "second": None,
            "tile": {"x": 0, "y": 0, "width": 28, "height": 28},
            "size": None,
        }
    ],
    "next_cursor": None,
    "measure": "jensen_shannon",
    "definition": "Jensen-Shannon divergence of the student's probabilities from the teacher's, in bits.",
    "samples": 10000,
    "agreeing": 0,
    "sheet": {"href": "/jobs/job_1/artifacts/disagreements.webp", "width": 1536, "height": 192},
}


class Tile(ResponseModel):
    """Where on the sheet a sample's picture lies, in pixels."""

    x: int = Field(examples=[0])
    y: int = Field(examples=[0])
    width: int = Field(examples=[28])
    height: int = Field(examples=[28])


class Sheet(ResponseModel):
    """All listed samples' pictures as one WebP."""

    href: str = Field(examples=["/jobs/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/artifacts/disagreements.webp"])
    width: int = Field(examples=[1536])
    height: int = Field(examples=[192])


class Disagreement(ResponseModel):
    """A test sample with what student and teacher say of it. An answer has, by task: label and probability; labels;
    boxes; classes with their share of the pixels; text."""

    rank: int = Field(description="From 1, the highest score first.", examples=[1])
    sample: int = Field(description="Position in the dataset's test split, from 0.", examples=[4711])
    score: float = Field(description="By `measure`; higher: further apart.", examples=[0.83])
    label: dict[str, Any] | None = Field(None, description="What the dataset says, as an answer.")
    student: dict[str, Any]
    teacher: dict[str, Any]
    name: str | None = Field(None, description="What the sample is called, where it has a name.")
    text: str | None = Field(None, description="Of texts: the text, the first of a pair, or what was asked.")
    second: str | None = Field(None, description="The second of a pair, or the wanted answer.")
    tile: Tile | None = Field(None, description="Of pictures; of masks the picture, the dataset's mask, the student's "
                              "and the teacher's side by side.")  # fmt: skip
    size: list[int] | None = Field(None, description="[width, height] of the picture that boxes are given in.")


@keep_examples
class DisagreementPage(PageInfo):
    """The test samples on which student and teacher differ most. Labels play no part in the ranking."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})
    items: list[Disagreement]
    measure: str = Field(description="jensen_shannon, differing_pixels, one_minus_f1, divergence.")
    definition: str = Field(description="What the score is, in a sentence.")
    samples: int = Field(description="Test samples that were compared.")
    agreeing: int = Field(description="Those of them with the score 0.")
    sheet: Sheet | None = Field(description="null of texts.")
