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


NUMBERS = [name for name, schema in SCHEMA.items() if _kinds(schema) & {"integer", "number"}]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), -1, 10**400], ids=["nan", "inf", "-inf", "-1", "huge"]
)
def test_no_number_is_negative_infinite_or_beyond_any_use(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        DistillConfig.model_validate({name: value})


@pytest.mark.parametrize("name", ["learning_rate", "clip_norm", "ema_decay", "checkpoint_seconds", "image_size"])
def test_what_divides_or_scales_is_not_zero(name: str) -> None:
    with pytest.raises(ValidationError):
        DistillConfig.model_validate({name: 0})


def test_one_bootstrap_replicate_is_refused() -> None:
    with pytest.raises(ValidationError, match="0 for none, or at least 2"):
        DistillConfig(quality_bootstrap=1)
    assert [DistillConfig(quality_bootstrap=n).quality_bootstrap for n in (0, 2)] == [0, 2]
