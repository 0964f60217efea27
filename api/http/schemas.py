"""Pieces that several resources' bodies share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from api.errors.handlers import NOT_STORABLE
from api.errors.handlers import pointer as escaped
from distill.strict_model import refuse_boolean, takes_booleans

LabelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,63}$")]
LabelValue = Annotated[str, StringConstraints(max_length=255)]
Labels = Annotated[
    dict[LabelName, LabelValue],
    Field(max_length=32, description="Your own names and values, to filter by.", examples=[{"team": "vision"}]),
]
Name = Annotated[str, StringConstraints(max_length=200)]


class RequestModel(BaseModel):
    """A request body: unknown members are refused, and so is what JSON can spell and a database cannot hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        for path, what in _unstorable(data, ""):
            told = {"path": path or "the body", "what": what, "pointer": path}
            raise PydanticCustomError(NOT_STORABLE, "{path} holds {what}", told)
        return data

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Nor in a list of numbers: `[true]` is no list of seeds."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if not takes_booleans(annotation):
            for each in value if isinstance(value, list) else [value]:
                refuse_boolean(each)
        return value


class ResourcePatch(RequestModel):
    """What may be changed of a teacher or dataset; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"name": "ours", "labels": {"team": "vision"}}]}
    )
    name: Name = ""
    labels: Labels = Field(default_factory=dict, description="All of them: those that are left out go.")


class ResponseModel(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


def _unstorable(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _unstorable(name, path)
            yield from _unstorable(member, path + escaped(name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _unstorable(member, f"{path}/{index}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "a number that is not finite"
    elif isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        yield path, "a NUL or half a surrogate pair"
