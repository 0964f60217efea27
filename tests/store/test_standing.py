"""Every status has words that a sentence about it can go on with."""

from __future__ import annotations

import pytest

from store.standing import refusal, standing
from store.states import REQUESTS, STATUSES
from store.study_tables import STUDY_STATUSES


@pytest.mark.parametrize("status", sorted({*STATUSES, *STUDY_STATUSES}))
def test_no_status_is_said_as_its_name(status: str) -> None:
    assert standing(status) != f"is {status}" or status in {"running", "paused"}
    for wanted in {wanted for allowed in REQUESTS.values() for wanted in allowed} | {"running"}:
        assert "become" not in refusal(status, wanted)


def test_a_refusal_is_a_sentence() -> None:
    assert refusal("succeeded", "cancelling") == "has succeeded and cannot be cancelled"
    assert refusal("running", "queued") == "is running and cannot be queued again"
