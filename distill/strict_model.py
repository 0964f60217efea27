"""The base of plain data that crosses package borders: frozen, nothing unknown, no NaN. Torch-free."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic takes `true` for 1, which the JSON schema of a number does not allow."""
        if not takes_booleans(cls.model_fields[str(info.field_name)].annotation):
            refuse_boolean(value)
        return value


def refuse_boolean(value: Any) -> None:
    """Raise `ValueError` for one."""
    if isinstance(value, bool):
        raise ValueError("true and false are not values of this field")


def takes_booleans(annotation: Any) -> bool:
    """Whether a field of this type may hold `true` or `false`, itself or below."""
    return annotation in (bool, Any) or any(takes_booleans(inner) for inner in get_args(annotation))
