"""Places, points and what becomes of a job."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.search import strategies
from distill.search.importance import importance
from distill.search.objectives import Objective
from distill.search.plan import Plan, Tried
from distill.search.space import Domain, Space, applied, canonical, merged
from distill.search.table import Run, tabulate

BASE: dict[str, Any] = {
    "config": {"recipe": "logit", "recipe_parameters": {"temperature": 4}, "epochs": 2},
    "teacher": ["a"],
}


def space(**places: Any) -> Space:
    return Space.from_list([{"pointer": name} | domain for name, domain in places.items()])


def test_a_value_replaces_and_an_object_at_config_changes_members() -> None:
    changed = applied(
        BASE, {"/config": {"recipe": "vid", "recipe_parameters": {"temperature": None}}, "/teacher": ["b"]}
    )
    assert changed == {"config": {"recipe": "vid", "recipe_parameters": {}, "epochs": 2}, "teacher": ["b"]}
    assert applied(BASE, {"/config/selection_parameters/k": 1})["config"]["selection_parameters"] == {"k": 1}
    assert BASE["config"]["recipe"] == "logit"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(json_values, json_values)
def test_merging_twice_is_merging_once(before: Any, patch: Any) -> None:
    once = merged(before, patch)
    assert merged(once, patch) == once


@pytest.mark.parametrize(
    ("domain", "size"),
    [
        ({"choices": [1, "a", None]}, 3),
        ({"low": 1, "high": 4, "integer": True}, 4),
        ({"low": 0.1, "high": 0.5, "step": 0.1}, 5),
        ({"low": 0.1, "high": 0.5}, inf),
    ],
)
def test_a_domains_size_is_how_many_values_it_has(domain: dict[str, Any], size: float) -> None:
    found = Domain.from_dict({"pointer": "/config/x"} | domain)
    assert found.size() == size
    if size < inf:
        assert len({canonical(value) for value in found.values()}) == size


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_every_strategy_stays_in_the_space(data: st.DataObject) -> None:
    """Choices of any JSON, ranges, and a condition: what is proposed is one of the values, and only where it is one."""
    places = space(
        **{
            "/config/recipe": {"choices": ["logit", "vid"]},
            "/config/learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
            "/config/layers": {"low": 1, "high": 9, "step": 2, "integer": True},
            "/student": {"choices": [{"name": "a", "options": {}}, {"name": "b", "options": {"width": 4}}]},
            "/config/recipe_parameters/temperature": {"low": 1, "high": 8, "when": {"/config/recipe": ["logit"]}},
        }
    )
    name = data.draw(st.sampled_from([name for name in strategies.names() if name != "grid"]))
    plan = Plan(places, BASE, data.draw(st.integers(0, 1000)), resource=9)
    strategy, tried = strategies.get(name)(plan), list[Tried]()
    for _ in range(3):
        point = next(strategy.proposals(tried))
        tried.append(Tried(point, "complete", (point["/config/learning_rate"],)))
        assert ("/config/recipe_parameters/temperature" in point) == (point["/config/recipe"] == "logit")
        assert 1e-4 <= point["/config/learning_rate"] <= 1.0
        assert point["/config/layers"] in (1, 3, 5, 7, 9)
        assert point["/student"] in places.by_pointer["/student"].choices  # type: ignore[operator]


def test_importance_finds_the_place_that_matters() -> None:
    places = space(**{"/config/a": {"low": 0, "high": 1}, "/config/b": {"low": 0, "high": 1}})
    points = [(0.05 * number, 0.05 * ((number * 7) % 20)) for number in range(20)]
    runs = [Run(0, 0, "search", {}, "succeeded", None, {"accuracy": 0.5}, None)]
    for number, (a, b) in enumerate(points, 1):
        runs.append(
            Run(number, 0, "search", {"/config/a": a, "/config/b": b}, "succeeded", None, {"accuracy": a}, None)
        )
    for direction in ("maximize", "minimize"):
        table = tabulate(runs, [Objective("accuracy", direction)])
        found = importance(Plan(places, {}, directions=(direction,)), table, "accuracy")
        assert found.shares["/config/a"] > 0.7, direction
        assert list(found.shares) == ["/config/a", "/config/b"]
