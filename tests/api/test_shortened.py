"""Refusals repeat what was sent, but not all of something very long."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.errors.shortened import MOST, MOST_IN_ALL, all_shortened, shortened
from tests.api.driver import Driver

LONG = "x" * 2000


@pytest.mark.parametrize(
    "text", [f"There is no recipe named {LONG!r}.", f"No {LONG} here", f'"{"a b " * 500}" is none']
)
def test_something_long_is_its_start_and_its_length(text: str) -> None:
    found = shortened(text)
    assert len(found) < MOST + 60
    assert "2,000 characters" in found
    assert found[:20] == text[:20]
    assert found[-1] == text[-1]


def test_what_is_short_stays() -> None:
    listed = "Known: " + ", ".join(f"name_{i}" for i in range(200))
    assert shortened(listed) == listed
    assert len(shortened("a " * 9000)) <= MOST_IN_ALL
    facts = {"name": "y" * MOST, "number": 3, "close": ["a", None]}
    assert all_shortened(facts) == facts


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"recipe": LONG}}, {"config": {"recipe": "cross_entropy", "recipe_parameters": {LONG: 1}}},
        {"student": "retort:" + "r" * 190}, {"teacher": LONG}, {"config": {"selection": LONG, "optimizer": LONG}},
    ],
)  # fmt: skip
def test_a_refusal_is_as_long_as_its_places(client: TestClient, driver: Driver, changes: dict[str, Any]) -> None:
    asked = {"dataset": driver.dataset(), "student": "retort:resnet8", "config": {"recipe": "cross_entropy"}} | changes
    found = client.post("/jobs", json=asked).json()
    assert found["errors"]
    told = [found["detail"], *(error["message"] for error in found["errors"]), *map(str, found["details"].values())]
    assert max(map(len, told)) < MOST + 100


def test_a_student_that_there_is_not_is_one_finding(client: TestClient, driver: Driver) -> None:
    """Of a job, and of a study with whatever varies beside it."""
    base = {"dataset": driver.dataset(), "student": "nothing", "config": {"recipe": "cross_entropy"}}
    assert [each["pointer"] for each in client.post("/jobs", json=base).json()["errors"]] == ["/student"]
    asked = {"base": base, "space": {"/config/learning_rate": {"choices": [0.1, 0.01]}}}
    assert [each["pointer"] for each in client.post("/studies", json=asked).json()["errors"]] == ["/base/student"]
