"""Cached targets are the teacher's, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distill.control import Control
from distill.train import train
from distill.training.cache import Cache, bytes_per_sample, plan, stored_dtype
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
