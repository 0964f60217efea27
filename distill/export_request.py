"""Formats in which a student is asked for, as a configuration has them. Torch-free."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from distill.strict_model import Model


class ExportRequest(Model):
    """A format in which the student is wanted, beside its weights."""

    format: str = Field(
        min_length=1, max_length=60, examples=["onnx"], json_schema_extra={"x-registry": "exports"},
        description="Name from the catalogue's exports.",
    )  # fmt: skip
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="The format's own parameters.", examples=[{"pixels": True}]
    )
    max_drop: float = Field(
        0.01, ge=0, le=1,
        description="How much of the task's primary metric the file may lose on the test set before it is marked: of a "
        "share in its own unit (0.01 is one point), of another figure relative to torch's.",
    )  # fmt: skip


def _by_its_name(given: Any) -> Any:
    return {"format": given} if isinstance(given, str) else given


Export = Annotated[ExportRequest, BeforeValidator(_by_its_name)]
"""A name alone is taken too. The schema says nothing of it, or what goes in and what comes out would have two schemas.
"""


_NAMED = ("pixels", "suppression", "quantisation_aware")
"""Parameters that a file's name tells."""


def _each_once(wanted: list[ExportRequest]) -> list[ExportRequest]:
    """Two of a format that differ in one of `_NAMED` have files of their own; two others would have the same."""
    named = [(each.format, *(bool(each.parameters.get(name)) for name in _NAMED)) for each in wanted]
    if len(set(named)) < len(named):
        raise ValueError("exports names a format twice")
    return wanted


Exports = Annotated[list[Export], Field(max_length=20), AfterValidator(_each_once)]
