"""Parameters of losses and recipes: literal schema, clear errors, defaults equal to the constructor's."""

from __future__ import annotations

import os
import subprocess
import sys
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest

from distill import losses, recipes
from distill.errors import InvalidConfig, UnknownName
from distill.parameters import check, validated

SCHEMA: dict[str, dict[str, Any]] = {
    "weight": {"type": "number", "minimum": 0, "default": 1.0},
    "temperature": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100, "default": 4.0},
    "stones": {"type": ["integer", "null"], "minimum": 1, "maximum": 8, "default": None},
    "kl": {"type": "boolean", "default": True},
    "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
    "weights": {"type": ["array", "null"], "items": {"type": "number", "minimum": 0}, "default": None},
    "loss": {"type": "string", "x-registry": "losses", "default": "mse"},
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"weight": 0, "temperature": 99.5, "stones": 8, "kl": False, "mode": "b", "weights": [0, 1.5], "loss": "cka"},
        {"stones": None, "weights": None},
        {"weights": (1.0,)},
    ],
)
def test_good_values_pass(given: dict[str, Any]) -> None:
    check(SCHEMA, given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wieght": 1}, "no parameter named 'wieght'"),
        ({"weight": "1"}, "of type number"),
        ({"weight": True}, "of type number"),
        ({"weight": None}, "of type number"),
        ({"weight": -1}, "at least 0"),
        ({"weight": float("nan")}, "finite"),
        ({"weight": float("inf")}, "finite"),
        ({"weight": 10**5000}, "an integer is not finite"),
        ({"temperature": 0}, "more than 0"),
        ({"temperature": 100}, "less than 100"),
        ({"stones": 1.5}, "integer or null"),
        ({"stones": 9}, "at most 8"),
        ({"kl": 1}, "of type boolean"),
        ({"mode": "c"}, "one of a, b"),
        ({"weights": [1, "x"]}, "of type number"),
        ({"weights": [-1]}, "at least 0"),
    ],
)
def test_bad_values_say_what_is_wrong_and_what_to_do(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig, match=message) as error:
        check(SCHEMA, given)
    assert error.value.remedy
    assert error.value.details["parameter"] in given


def test_a_near_miss_is_suggested_and_an_unknown_loss_named() -> None:
    with pytest.raises(InvalidConfig) as error:
        check(SCHEMA, {"wieght": 1})
    assert "'weight'" in error.value.remedy
    with pytest.raises(UnknownName, match="mze"):
        check(SCHEMA, {"loss": "mze"})


def test_the_decorator_leaves_other_arguments_alone() -> None:
    @validated({"weight": SCHEMA["weight"]})
    def build(setup: object, weight: float = 1.0) -> tuple[object, float]:
        return setup, weight

    assert build(setup="s", weight=2) == ("s", 2)
    assert build("s") == ("s", 1.0)
    with pytest.raises(InvalidConfig, match="bogus"):
        build("s", bogus=1)  # type: ignore[call-arg]


ENTRIES = [(registry, name) for registry in (recipes.registry, losses.registry) for name in registry.names()]


@pytest.mark.parametrize(("registry", "name"), ENTRIES, ids=[f"{r.noun}-{n}" for r, n in ENTRIES])
def test_literal_defaults_are_the_constructors(registry: Any, name: str) -> None:
    constructor = signature(registry.get(name).__init__).parameters
    keywords = {k: p.default for k, p in constructor.items() if p.default is not Parameter.empty}
    assert {k: schema["default"] for k, schema in registry.parameters(name).items()} == keywords


@pytest.mark.parametrize(("registry", "name"), ENTRIES, ids=[f"{r.noun}-{n}" for r, n in ENTRIES])
def test_every_parameter_is_described_and_its_default_valid(registry: Any, name: str) -> None:
    schemas = registry.parameters(name)
    check(schemas, {k: schema["default"] for k, schema in schemas.items()})
    assert all(schema["description"] and schema["type"] for schema in schemas.values())
    assert registry.summary(name).endswith(".")


def test_checking_parameters_needs_no_torch() -> None:
    code = "import sys, distill.parameters; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
