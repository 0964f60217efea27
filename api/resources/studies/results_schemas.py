"""Bodies of /studies/{id}/table, /pareto and /importance."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.http.schemas import ResponseModel
from api.resources.studies.figure_schemas import UNUSED
from api.resources.studies.schemas import Direction, Objective


class SpreadOut(ResponseModel):
    """Mean and standard deviation of `n` values."""

    mean: float = Field(examples=[0.91])
    sd: float | None = Field(description="Null of a single value.", examples=[0.004])
    n: int = Field(examples=[3])


class DifferenceOut(ResponseModel):
    """To the base job, paired by seed."""

    mean: float = Field(examples=[0.012])
    low: float | None = Field(description="Null for fewer than two seeds in common.", examples=[0.003])
    high: float | None = Field(examples=[0.021])
    n: int = Field(description="Seeds in common.", examples=[3])
    verdict: Literal["better", "worse", "within noise", "too few seeds"] = Field(examples=["better"])


class RowOut(ResponseModel):
    """A configuration."""

    configuration: int = Field(description="0 is the base job.", examples=[4])
    assignment: dict[str, Any] = Field(examples=[{"/config/recipe": "logit"}])
    runs: dict[str, int] = Field(
        description="Its trials: all, by state, and of the failed those that diverged or stayed at chance.",
        examples=[{"trials": 3, "succeeded": 3, "diverged": 0, "at_chance": 0}],
    )
    values: dict[str, SpreadOut] = Field(description="Objectives and costs, over the seeds of the search.")
    difference: DifferenceOut | None = Field(description="Of the first objective; null of the base job.")
    unused: dict[str, int] = Field(description=UNUSED, examples=[{"diverged": 1}])
    test: dict[str, SpreadOut] = Field(
        description="On the test set: of winner and base job alone, once the study has ended."
    )


class TableOut(ResponseModel):
    """Configurations, best mean of the first objective first."""

    objectives: list[Objective]
    comparisons: int = Field(
        description="Differences with an interval: each is corrected for all of them (Bonferroni), so that all hold "
        "together with 95 %.",
        examples=[7],
    )
    result: dict[str, Any] | None = Field(description="As in GET /studies/{id}.", examples=[None])
    rows: list[RowOut]


class Axis(ResponseModel):
    """A figure of the plot."""

    name: str = Field(examples=["bytes"])
    direction: Direction = Field(examples=["minimize"])


class PointOut(ResponseModel):
    """A configuration's means."""

    configuration: int = Field(examples=[4])
    x: float = Field(examples=[61000])
    y: float = Field(examples=[0.91])
    best: bool = Field(description="No other is as good in both and better in one.", examples=[True])
    job: str | None = Field(description="Its first job.", examples=["job_01KA1N3ZCZ0D6M3XB"])


class ParetoOut(ResponseModel):
    """Configurations from left to right."""

    x: Axis
    y: Axis
    points: list[PointOut]


class ImportanceOut(ResponseModel):
    """How much each place matters for reaching the better quarter of the configurations."""

    model_config = ConfigDict(frozen=True)
    objective: str = Field(examples=["accuracy"])
    configurations: int = Field(description="That were counted.", examples=[24])
    shares: dict[str, float] = Field(
        description="Place -> share, the largest first, together 1; empty for fewer than four configurations.",
        examples=[{"/config/learning_rate": 0.7, "/config/recipe": 0.3}],
    )
    left_out: list[str] = Field(description="Places that not every configuration has.", examples=[[]])
