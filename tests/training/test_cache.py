"""Cached targets are the teacher's, wherever they lie."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.control import Control
from distill.train import Outcome, train
from distill.training import checkpoint
from distill.training.cache import Cache, Teacher, bytes_per_sample, plan, stored_dtype
from distill.types import Event
from tests.training.conftest import TinyBatch, config, tiny_data, tiny_recipe
from tests.training.test_resume import drain, same


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_get_returns_what_was_put_by_index(tmp_path: Path, place: str) -> None:
    indices = torch.tensor([7, 2, 40, 5])
    store = Cache(place, indices, tmp_path / "cache", torch.device("cpu"))
    features = torch.randn(4, 3, 2, 2)
    targets = {"logits": torch.randn(4, 5), "feature": features, "token": torch.arange(4)}
    store.put(_batch(indices[:3]), {name: value[:3] for name, value in targets.items()})
    store.put(_batch(indices[3:]), {name: value[3:] for name, value in targets.items()})
    got = store.get(_batch(torch.tensor([40, 7])))
    assert torch.equal(got["logits"], targets["logits"][[2, 0]])
    assert torch.equal(got["token"], torch.tensor([2, 0]))
    assert torch.equal(got["feature"], features[[2, 0]].bfloat16().float())
    assert (tmp_path / "cache").exists() == (place == "disk")
    store.close()
    assert not (tmp_path / "cache").exists()


def _batch(index: torch.Tensor) -> TinyBatch:
    return TinyBatch(index, index, index, None)


def test_sizes_and_types() -> None:
    targets = {"logits": torch.zeros(2, 10), "block": torch.zeros(2, 4, 3, 3)}
    assert bytes_per_sample(targets) == 10 * 4 + 36 * 2
    assert stored_dtype("teacher_logits", targets["logits"]) == torch.float32


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({}, "memory"),
        ({"wanted": False}, "live"),
        ({"augmented": True}, "live"),
        ({"augmented": True, "wanted": True}, "live"),
        ({"passes": 1.0}, "live"),
        ({"passes": 1.0, "wanted": True}, "memory"),
        ({"memory_bytes": 999}, "disk"),
        ({"memory_bytes": 999, "disk_bytes": 999}, "live"),
        ({"sample_bytes": 0}, "live"),
        ({"device_bytes": 1000}, "device"),
    ],
)
def test_plan(changes: dict[str, object], place: str) -> None:
    facts = {"wanted": "auto", "augmented": False, "passes": 3.0, "sample_bytes": 10, "samples": 100}
    facts |= {"memory_bytes": 1000, "disk_bytes": 10**6}
    chosen = plan(**(facts | changes))  # type: ignore[arg-type]
    assert chosen.place == place
    assert chosen.reason


def test_memory_and_disk_train_the_same_student(tmp_path: Path) -> None:
    states = []
    for name, room in (("memory", 2**20), ("disk", 0)):
        recipe = tiny_recipe()
        settings = config(cache_memory_bytes=room)
        events, _ = drain(train(recipe, tiny_data(), settings, tmp_path / name, Control()))
        assert events[0].data["reasons"]["cache_teacher"].startswith(name)
        assert not (tmp_path / name / "cache").exists()
        states.append(recipe.state_dict())
    assert same(*states)


def test_cached_and_live_agree_within_bf16(tmp_path: Path) -> None:
    states = []
    for wanted in (True, False):
        recipe = tiny_recipe(dropout=0.0)
        drain(train(recipe, tiny_data(), config(cache_teacher=wanted), tmp_path / str(wanted), Control()))
        states.append(recipe.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0.05, atol=0.01)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def until_the_fill(asked: str, control: Control, iterator: Any) -> tuple[list[Event], Outcome]:
    """All events and the outcome, where `asked` is set at the first sign of life of the fill."""
    events: list[Event] = []
    try:
        while not any(event.kind == "progress" for event in events):
            events.append(next(iterator))
        setattr(control, asked, True)
        while True:
            events.append(next(iterator))
    except StopIteration as end:
        return events, end.value


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every batch that the teacher computes."""
    batches: list[int] = []
    original = Teacher.__call__

    def call(self: Teacher, teacher_input: Any) -> Any:
        batches.append(1)
        return original(self, teacher_input)

    monkeypatch.setattr(Teacher, "__call__", call)
    return batches


def test_a_handover_is_heard_while_targets_are_computed(tmp_path: Path, counted: list[int]) -> None:
    straight, data = tiny_recipe(), tiny_data(train=160)
    drain(train(straight, data, config(), tmp_path / "a", Control()))
    counted.clear()
    control = Control()
    events, outcome = until_the_fill("handover", control, train(tiny_recipe(), data, config(), tmp_path / "b", control))
    assert len(counted) <= 5  # of 20: what plan and warnings looked at, and a batch or two
    assert (outcome.ending, outcome.step) == ("handover", 0)
    assert kinds(events)[-1] == "checkpoint"
    assert not (tmp_path / "b" / "cache").exists()
    second = tiny_recipe()
    drain(train(second, data, config(), tmp_path / "b", Control(), checkpoint.existing(tmp_path / "b")[-1]))
    assert same(straight.state_dict(), second.state_dict())


def test_a_handover_of_a_resumed_run_keeps_its_checkpoint(tmp_path: Path) -> None:
    first = Control()
    drain(train(tiny_recipe(), tiny_data(), config(), tmp_path, first), first, 4)
    before = checkpoint.existing(tmp_path)
    control = Control()
    iterator = train(tiny_recipe(), tiny_data(), config(), tmp_path, control, before[-1])
    events, outcome = until_the_fill("handover", control, iterator)
    assert (outcome.ending, outcome.step, checkpoint.existing(tmp_path)) == ("handover", 5, before)
    life = next(event.data for event in events if event.kind == "progress")
    assert (life["step"], life["total_steps"], life["eta_seconds"]) == (5, 15, None)
    assert life["images_per_second"] > 0


def test_a_stop_while_targets_are_computed_ends_with_a_student(tmp_path: Path, counted: list[int]) -> None:
    control = Control()
    iterator = train(tiny_recipe(), tiny_data(train=160), config(), tmp_path, control)
    _, outcome = until_the_fill("stop", control, iterator)
    assert (outcome.ending, outcome.step) == ("stopped", 1)
    assert outcome.validation is not None
    assert len(counted) <= 6


def test_a_run_that_finds_no_room_any_more_keeps_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = tiny_recipe()
    drain(train(straight, tiny_data(), config(), tmp_path / "a", Control()))
    control = Control()
    drain(train(tiny_recipe(), tiny_data(), config(), tmp_path / "b", control), control, 4)
    monkeypatch.setattr("distill.training.cache.disk_budget", lambda folder: 0)
    changed = config(cache_memory_bytes=0)
    control, again = Control(), Control()
    events, _ = drain(
        train(tiny_recipe(), tiny_data(), changed, tmp_path / "b", again, checkpoint.existing(tmp_path / "b")[-1]),
        again, 8,
    )  # fmt: skip
    assert events[0].data["reasons"]["cache_teacher"].startswith("recomputed: 40 samples")
    resumed = tiny_recipe()  # and once more: the checkpoint remembers that targets are rounded
    drain(train(resumed, tiny_data(), changed, tmp_path / "b", control, checkpoint.existing(tmp_path / "b")[-1]))
    assert same(straight.state_dict(), resumed.state_dict())


def test_computing_the_targets_counts_as_time_and_not_as_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Teacher.__call__

    def slowly(teacher: Teacher, given: Any) -> Any:
        time.sleep(0.1)
        return ask(teacher, given)

    monkeypatch.setattr(Teacher, "__call__", slowly)
    settings = config(cache_teacher=True)
    _, outcome = drain(train(tiny_recipe(), tiny_data(), settings, tmp_path, Control()))
    batches = -(-40 // settings.batch_size)
    assert outcome.seconds >= 0.1 * batches
    assert outcome.images_per_second > settings.batch_size / 0.1
