"""What a process remembers of a study's trials changes no answer."""

from __future__ import annotations

import gc
import random
from itertools import islice
from typing import Any

import pytest

from distill.search import collection, strategies
from distill.search.plan import Plan, Tried
from distill.search.space import Domain, Space

SPACE = Space([
    Domain("/config/recipe", ("logit", "feature_only")),
    Domain("/config/learning_rate", None, 1e-4, 1.0, log=True),
    Domain("/config/layers", None, 1, 8, integer=True, when={"/config/recipe": ["feature_only"]}),
])  # fmt: skip
BASE = {"config": {"recipe": "logit"}}
DRAWN = [name for name in strategies.names() if name != "grid"]


def made(name: str, key: str) -> Any:
    return strategies.get(name)(Plan(SPACE, BASE, 3, ("maximize",), 9, key))


@pytest.mark.parametrize("name", DRAWN)
def test_a_remembered_search_suggests_and_judges_as_one_that_forgets(name: str) -> None:
    """Points are added, go on, end, and change after their end, as `extend` has it."""
    generator, tried = random.Random(name), list[Tried]()
    for number in range(24):
        found = [list(islice(made(name, key).proposals(tried), 3)) for key in ("", f"test_replay {name}")]
        assert found[0] == found[1], number
        tried.append(Tried(found[0][0], "running"))
        told = {step: generator.random() for step in range(1, 4)}
        if strategies.prunes(name):
            judged = [made(name, key).judge(tried, number, told) for key in ("", f"test_replay {name}")]
            assert judged[0] == judged[1], number
            ended, after = judged[0]
            tried[-1] = Tried(found[0][0], "pruned" if ended else "running", None, after.reported, after.marks)
        place = generator.randrange(len(tried))
        if tried[place].state != "pruned":
            point = tried[place]
            tried[place] = Tried(point.assignment, "complete", (generator.random(),), point.reported, point.marks)


def test_collection_is_put_off_until_the_last_leaves() -> None:
    assert gc.isenabled()
    with collection.paused():
        with collection.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with collection.paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
