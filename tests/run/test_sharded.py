"""What a run refuses where its networks are to lie in shares."""

from __future__ import annotations

from typing import Any

import pytest

from distill import sharded
from distill.errors import InvalidConfig
from tests.run.conftest import spec


@pytest.mark.parametrize(
    "refused",
    [
        {"recipe": "blockwise_logit"}, {"optimizer": "lamb", "learning_rate": 0.1}, {"compile": True},
        {"channels_last": True},
    ],
)  # fmt: skip
def test_what_cannot_lie_in_shares_is_refused(refused: dict[str, Any]) -> None:
    given = spec(**({"recipe": "cross_entropy"} | refused))
    sharded.check(given)
    with pytest.raises(InvalidConfig) as told:
        sharded.check(given.model_copy(update={"sharding": "full"}))
    assert told.value.details["field"] in refused


@pytest.mark.parametrize("optimizer", sharded.ELEMENTWISE)
def test_the_rest_is_taken(optimizer: str) -> None:
    given = spec(recipe="cross_entropy", optimizer=optimizer, learning_rate=1e-4, precision="fp16")
    sharded.check(given.model_copy(update={"sharding": "full"}))
