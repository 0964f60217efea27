"""MixUp and CutMix: torchvision's own, the same picture for both networks, a function of seed, epoch and batch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill import torchvision_shim  # noqa: F401
from distill.answers import ClassAnswer
from distill.modalities.images import Loader
from distill.modalities.images.mixing import MixedLoader, Mixing
from distill.modalities.images.preprocessing import Preprocessing
from distill.types import TeacherInput
from tests.data.test_loader import COLOUR, GREY, same, small  # noqa: F401 - a fixture
from tests.run.conftest import go, spec, teacher  # noqa: F401 - a fixture

KINDS = {"mixup": (0.4, 0.0), "cutmix": (0.0, 1.0), "both": (0.4, 1.0)}


def _loader(samples: Any, other: Preprocessing | None = COLOUR, size: int = 8) -> Loader:
    return Loader(samples, range(64), size, GREY, other, "crop_flip", seed=3)


@pytest.mark.parametrize("kind", KINDS)
def test_start_gives_the_rest_of_the_undisturbed_epoch(small: Any, kind: str) -> None:  # noqa: F811
    mixing = Mixing(*KINDS[kind], seed=3, classes=10)
    whole = list(MixedLoader(_loader(small), mixing).epoch(2))
    torch.manual_seed(99)
    again = list(MixedLoader(_loader(small), mixing).epoch(2, start=3))
    assert all(same(a, b) for a, b in zip(whole[3:], again, strict=True))
    assert [mixing.draw(2, 0, (8, 8), (8, 8))] != [mixing.draw(3, 0, (8, 8), (8, 8))]


def _pixels(pictures: Tensor, how: Preprocessing) -> Tensor:
    shape = (1, how.channels, 1, 1)
    return pictures * torch.tensor(how.std).view(shape) + torch.tensor(how.mean).view(shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(8, 8), (16, 16), (24, 24)])
def test_both_networks_see_the_same_mixed_picture(small: Any, kind: str, size: tuple[int, int]) -> None:  # noqa: F811
    other = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), size, "nearest", 3)
    plain, mixing = _loader(small, other), Mixing(*KINDS[kind], seed=3, classes=10)
    changed = 0
    for batch, before in zip(MixedLoader(plain, mixing).epoch(1), plain.epoch(1), strict=True):
        factor = size[0] // 8
        student = _pixels(batch.student, GREY).expand(-1, 3, -1, -1).repeat_interleave(factor, 2)
        torch.testing.assert_close(student.repeat_interleave(factor, 3), _pixels(batch.teacher, other))
        changed += not torch.equal(batch.student, before.student)
    assert changed > 4


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_it_is_torchvisions(small: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from torchvision.transforms import v2

    mixing = Mixing(*KINDS[kind], seed=3, classes=10)
    for number, batch in enumerate(_loader(small, None).epoch(1)):
        mix = mixing.draw(1, number, (8, 8), (8, 8))
        given = {"lam": mix.share} if mix.box is None else {"box": mix.box, "lam_adjusted": mix.share}
        transform = (v2.MixUp if kind == "mixup" else v2.CutMix)(num_classes=10)
        monkeypatch.setattr(transform, "make_params", lambda _, given=given: given)
        pictures, labels = transform(batch.student, batch.labels)
        found = mixing(batch, 1, number)
        assert torch.equal(found.student, pictures)
        assert torch.equal(found.labels, labels)


def test_what_a_label_counts_is_what_is_seen_of_its_picture() -> None:
    """Of a batch whose pictures are all of the value of their class."""
    for number in range(40):
        mix = Mixing(0.0, 1.0, 5, 2).draw(0, number, (12, 20), (24, 40))
        assert mix.box is not None
        left, top, right, bottom = mix.box
        assert 0 <= left <= right <= 20
        assert 0 <= top <= bottom <= 12
        assert math.isclose(mix.share, 1 - (right - left) * (bottom - top) / 240)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_mix_the_pairs_that_one_mixes(small: Any, kind: str, world: int) -> None:  # noqa: F811
    mixing, settings = Mixing(*KINDS[kind], seed=3, classes=10), {"augmentation": "crop_flip", "seed": 3}
    one = MixedLoader(Loader(small, range(60), 12, GREY, COLOUR, **settings), mixing)
    parts = [
        Loader(small, range(60), 12 // world, GREY, COLOUR, rank=rank, world=world, before=True, **settings)
        for rank in range(world)
    ]
    shares = [MixedLoader(part, mixing, before=True).epoch(1) for part in parts]
    for whole, *some in zip(one.epoch(1), *shares, strict=True):
        for name in ("index", "host_index", "labels", "student", "teacher"):
            assert torch.equal(torch.cat([getattr(share, name) for share in some]), getattr(whole, name))


def test_shares_follow_the_beta_distribution() -> None:
    shares = torch.tensor([Mixing(0.4, 0.0, 1, 2).draw(0, i, (8, 8), (8, 8)).share for i in range(4000)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)


def test_mixed_labels_are_a_loss_and_an_accuracy() -> None:
    logits, labels = torch.randn(6, 4), torch.softmax(torch.randn(6, 4), 1)
    answer = ClassAnswer()
    compared = answer.compare(logits, labels)
    torch.testing.assert_close(answer.loss(compared), -(labels * logits.log_softmax(1)).sum(1).mean())
    right = int((logits.argmax(1) == labels.argmax(1)).sum())
    assert int(answer.figures(logits, labels)["accuracy"]) == right


def test_a_run_learns_from_mixed_pictures(teacher: TeacherInput, tmp_path: Path) -> None:  # noqa: F811
    events = go(spec(teacher, recipe="logit", mixup=0.2, cutmix=1.0, max_steps=4), tmp_path)
    assert events[-1].kind == "done"
    found = next(event.data for event in events if event.kind == "resolved")
    assert (found["config"]["mixup"], found["config"]["cutmix"], found["config"]["cache_teacher"]) == (0.2, 1.0, False)
