"""Plain data that crosses package borders."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from distill.types import DistillConfig

SCHEMA = DistillConfig.model_json_schema()["properties"]


def _kinds(schema: dict[str, Any]) -> set[str]:
    return {schema.get("type", "")}.union(*(_kinds(inner) for inner in schema.get("anyOf", [])))


@pytest.mark.parametrize("name", [name for name, schema in SCHEMA.items() if "boolean" not in _kinds(schema)])
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_value_of_other_fields(name: str, value: bool) -> None:
    with pytest.raises(ValidationError):
        DistillConfig.model_validate({name: value})


@pytest.mark.parametrize("name", [name for name, schema in SCHEMA.items() if "boolean" in _kinds(schema)])
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_one_of_a_boolean_field(name: str, value: bool) -> None:
    assert getattr(DistillConfig.model_validate({name: value}), name) is value
