"""How many layers a job distils: a number that was left out follows the networks, one that was given does not."""

from __future__ import annotations

from typing import Any

import pytest

from distill.errors import InvalidConfig
from distill.layer_count import Side, number_of_layers, too_few
from distill.types import USUAL_LAYERS, DistillConfig

TEACHER = Side("teacher", "retort:resnet20", 12)


@pytest.mark.parametrize(("available", "taken"), [(12, USUAL_LAYERS), (USUAL_LAYERS, USUAL_LAYERS), (3, 3), (1, 1)])
def test_a_number_that_was_left_out_follows_the_networks(available: int, taken: int) -> None:
    number, why = number_of_layers(DistillConfig(), (Side("student", "small", available), TEACHER))
    assert number == taken
    assert ("student small" in why) == (available < USUAL_LAYERS)


def test_a_number_that_was_given_stays_or_is_refused() -> None:
    sides = (Side("student", "small", 3), TEACHER)
    assert number_of_layers(DistillConfig(layers=3), sides)[0] == 3
    with pytest.raises(InvalidConfig) as caught:
        number_of_layers(DistillConfig(layers=USUAL_LAYERS), sides)
    assert caught.value.details == {"field": "layers", "layers": 4, "available": 3, "side": "student"}
    assert too_few(DistillConfig(), sides[0]) is None


@pytest.mark.parametrize(
    "named",
    [
        {"teacher_layers": ["a", "b"]},
        {"student_layers": ["a", "b"], "layers": "auto"},
        {"selection": "explicit", "selection_parameters": {"layers": [3, 7]}},
    ],
)
def test_layers_that_are_named_count_themselves(named: dict[str, Any]) -> None:
    assert DistillConfig(**named).layers == 2


def test_what_two_lists_contradict_is_left_to_those_who_know_the_recipe() -> None:
    assert DistillConfig(teacher_layers=["a"], student_layers=["a", "b"]).layers == "auto"
    assert DistillConfig().most_layers == USUAL_LAYERS
