"""Numbers that no run can use are the caller's error, told by field: not a 500, and not a job that fails."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient

from tests.api.checks import problem
from tests.api.driver import Driver


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", "NaN"),
        ("learning_rate", "Infinity"),
        ("learning_rate", "1e999"),
        ("learning_rate", "0"),
        ("learning_rate", "-0.1"),
        ("weight_decay", "NaN"),
        ("clip_norm", "Infinity"),
        ("checkpoint_seconds", "1e999"),
        ("quality_bootstrap", "1"),
        ("quality_memory_bytes", "1" + "0" * 400),
        ("max_steps", "1" + "0" * 400),
        ("image_size", "-1"),
        ("recipe_parameters", '{"temperature": NaN}'),
        ("recipe_parameters", '{"temperature": 1e999}'),
        ("recipe_parameters", '{"temperature": 1' + "0" * 400 + "}"),
    ],
    ids=lambda value: value[:24],
)
def test_bad_numbers_are_422_with_their_field(client: TestClient, driver: Driver, field: str, value: str) -> None:
    body = {"dataset": driver.dataset(), "student": "retort:resnet8", "config": {"recipe": "logit"}}
    body["teacher"] = driver.teacher()
    raw = json.dumps(body).replace('"recipe": "logit"', f'"recipe": "logit", "{field}": {value}')
    answer = client.post("/jobs", content=raw, headers={"Content-Type": "application/json"})
    found = problem(answer, 422)
    told = json.dumps(found)
    assert field in told or "temperature" in told
    assert client.get("/jobs").json()["items"] == []
