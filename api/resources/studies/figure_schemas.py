"""Body of /studies/{id}/figure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.http.schemas import ResponseModel

UNUSED = "Trials of the search that no mean is of, by why: active, pruned, diverged, at_chance, failed, cancelled."


class FigureAxis(ResponseModel):
    """What stands along an axis, or tells series apart."""

    name: str = Field(
        description="An objective, a cost, a place of the job by its pointer, or a score of a layer.",
        examples=["/config/epochs"],
    )
    kind: Literal["figure", "place", "score"] = Field(
        description="`score`: of the one teacher layer that a configuration distils, from the Q curve of its jobs.",
        examples=["place"],
    )
    label: str = Field(description="In words.", examples=["epochs"])
    logarithmic: bool = Field(
        description="To be drawn by ratios: a cost, or a place whose values span more than a factor of 20.",
        examples=[False],
    )


class FigurePoint(ResponseModel):
    """A configuration: `y` is the mean over `n` seeds."""

    configuration: int = Field(description="0 is the base job.", examples=[4])
    assignment: dict[str, Any] = Field(examples=[{"/config/recipe": "logit"}])
    x: float = Field(examples=[61000])
    y: float = Field(examples=[0.91])
    sd: float | None = Field(description="Null of a single seed.", examples=[0.004])
    n: int = Field(examples=[3])
    low: float | None = Field(
        description="95 % interval of the mean, Student's t over the seeds, by itself; null of a single seed and of "
        "seeds that coincide.",
        examples=[0.900],
    )
    high: float | None = Field(examples=[0.920])
    layer: str | None = Field(description="Whose score x is; else null.", examples=[None])
    unused: dict[str, int] = Field(description=UNUSED, examples=[{"diverged": 1}])
    job: str | None = Field(description="Its first job.", examples=["job_01KA1N3ZCZ0D6M3XB"])


class FigureLine(ResponseModel):
    """A series; without points where none of its configurations has both figures."""

    value: Any = Field(description="What its configurations have at the place of the series.", examples=["logit"])
    label: str = Field(description="In words; empty where there are no series.", examples=["logit"])
    points: list[FigurePoint] = Field(description="From left to right.")
    joined: list[list[int]] = Field(
        description="Configurations that differ in nothing but x, from left to right, each run of at least two. Along "
        "a place and along the size of the student alone.",
        examples=[[[1, 4, 7]]],
    )
    rank_correlation: float | None = Field(
        description="Spearman's of x and y, where x is a score of layers and there are three or more points.",
        examples=[None],
    )


class FigureLeftOut(ResponseModel):
    """A configuration that is no point."""

    configuration: int = Field(examples=[5])
    assignment: dict[str, Any] = Field(examples=[{"/config/recipe": "logit"}])
    why: Literal["no_value", "no_figure", "no_number", "not_one_layer", "not_scored"] = Field(
        description="`no_value`: no run ended with a value of y; `no_figure`: nor of x; `no_number`: it has no number "
        "at the place of x; `not_one_layer`: it distils none, or several; `not_scored`: its layer is on no Q curve.",
        examples=["no_value"],
    )
    unused: dict[str, int] = Field(description=UNUSED, examples=[{"diverged": 2}])
    job: str | None = Field(description="Its first job.", examples=["job_01KA1N3ZCZ0D6M3XB"])


class FigureChoices(ResponseModel):
    """What x, y and series of this study may be."""

    x: list[FigureAxis]
    y: list[FigureAxis]
    series: list[FigureAxis]


class FigureOut(ResponseModel):
    """Configurations as points, in series."""

    model_config = ConfigDict(frozen=True)
    x: FigureAxis
    y: FigureAxis
    series: FigureAxis | None = Field(description="Null: there is one line.")
    lines: list[FigureLine] = Field(description="In the order of the space, whatever was tried: colours stay.")
    left_out: list[FigureLeftOut]
    reading: list[str] = Field(
        description="What it says and does not say.",
        examples=[["A point is a configuration: its mean accuracy over seeds on validation samples."]],
    )
    choices: FigureChoices
