"""A student by what it may cost instead of by its name. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from distill.strict_model import Model

MOST = 2**53 - 1
Form = Literal["fp32", "int8"]
#: Figure of a candidate -> what people call it.
LIMITS: Mapping[str, str] = {
    "bytes": "bytes",
    "parameters": "parameters",
    "flops": "FLOPs",
    "latency_ms": "ms of latency",
}
COUNTED = ("bytes", "parameters", "flops")
"""Those that are counted; the latency is measured."""


class StudentBudget(Model):
    """The most that a student may cost. What is left out is not limited; one figure at least is."""

    bytes: Annotated[int, Field(ge=1, le=MOST)] | None = Field(
        None, description="Of the delivered file, in the form `form`.", examples=[60_000]
    )
    parameters: Annotated[int, Field(ge=1, le=MOST)] | None = Field(None, examples=[20_000])
    flops: Annotated[int, Field(ge=1, le=MOST)] | None = Field(
        None, description="Operations of one sample, a multiply-add counts 2.", examples=[10_000_000]
    )
    latency_ms: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="Median of one sample on the worker that measures, ms.", examples=[5.0]
    )
    threads: int = Field(1, ge=1, le=256, description="Of the processor, for the latency.")
    form: Form = Field(
        "fp32",
        description="In which form `bytes` counts: the weights as trained, or the ONNX file in int8 (estimated).",
    )

    @model_validator(mode="after")
    def _limits_something(self) -> StudentBudget:
        if not self.limits():
            raise ValueError(f"a budget limits at least one of {', '.join(LIMITS)}")
        return self

    def limits(self) -> dict[str, float]:
        """Figure -> the most that it may be, of those that are limited."""
        found = {name: getattr(self, name) for name in LIMITS}
        return {name: float(value) for name, value in found.items() if value is not None}

    def scaled(self, factor: float) -> dict[str, float]:
        """The limits times a factor."""
        return {name: factor * value for name, value in self.limits().items()}


Family = Annotated[str, Field(min_length=1, max_length=200, examples=["retort:resnet"])]


class BudgetedStudent(Model):
    """The largest student that a budget allows, of some families of networks."""

    budget: StudentBudget
    families: Annotated[list[Family], Field(min_length=1, max_length=50)] | None = Field(
        None,
        description="`library:family` as the catalogue of architectures has them, names of single networks, or "
        "`pruned`: the teacher's own network with a part of its channels, from its weights. Null: "
        "Retort's own networks that answer the dataset's task, and of language models the teacher's family.",
    )

    def asked(self) -> dict[str, Any]:
        """As plain data."""
        return self.model_dump(mode="json", exclude_none=True)
