"""Figures of masks against independent references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score
from torch import Tensor, nn

from distill.bootstrap import REPLICATES, weights
from distill.objectives.logits import soft_divergence
from distill.tasks.segment_images.answer import MaskAnswer
from distill.tasks.segment_images.evaluate import difference, figures, predict
from distill.training.meter import Meter

C, NAMES = 4, ("a", "b", "c", "d")


class Fixed(nn.Module):
    """Says what it is given: logits of another size than the labels."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": x}


@dataclass
class Batch:
    student: Tensor
    labels: Tensor


class Batches:
    """Images one by one, each of its own size, as of a dataset of many sizes."""

    batches_per_epoch = 6

    def __init__(self, logits_seed: int, last_class: bool = True) -> None:
        labels = torch.Generator().manual_seed(0)
        logits = torch.Generator().manual_seed(logits_seed)
        self.batches = []
        for i in range(6):
            size = (8 + i, 12)
            mask = torch.randint(0, C if last_class else C - 1, (1, *size), generator=labels)
            mask[torch.rand(1, *size, generator=labels) < 0.2] = -100
            hint = F.one_hot(mask.clamp(min=0), C).permute(0, 3, 1, 2).float()
            noise = torch.randn(1, C, *size, generator=logits)
            small = F.interpolate(hint + noise, size=(6, 6), mode="bilinear")
            if not last_class:
                small[:, -1] = -10
            self.batches.append(Batch(small, mask))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        return iter(self.batches)

    def pairs(self) -> list[tuple[np.typing.NDArray[np.int64], np.typing.NDArray[np.int64]]]:
        """(truth, said) of the labelled pixels of each image, the slow way."""
        found = []
        for batch in self.batches:
            size = batch.labels.shape[-2:]
            said = F.interpolate(batch.student, size=size, mode="bilinear", align_corners=False).argmax(1)
            keep = batch.labels >= 0
            found.append((batch.labels[keep].numpy(), said[keep].numpy()))
        return found


def found(seed: int = 1, last_class: bool = True) -> Any:
    return predict(Fixed(), Batches(seed, last_class), C, torch.device("cpu"))


def test_figures_are_sklearns() -> None:
    pairs = Batches(1).pairs()
    truth, said = (np.concatenate(column) for column in zip(*pairs, strict=True))
    result = figures(found(), NAMES)
    ious = jaccard_score(truth, said, average=None)
    assert result["mean_iou"]["value"] == pytest.approx(ious.mean())
    assert [result["per_class"][name]["value"] for name in NAMES] == pytest.approx(ious.tolist())
    assert result["pixel_accuracy"]["value"] == pytest.approx(accuracy_score(truth, said))
    assert result["confusion"] == confusion_matrix(truth, said).tolist()
    for share in (result["mean_iou"], result["pixel_accuracy"], *result["per_class"].values()):
        assert share["low"] <= share["value"] <= share["high"]


def test_loss_is_the_mean_over_labelled_pixels() -> None:
    total = count = 0.0
    for batch in Batches(1).batches:
        logits = F.interpolate(batch.student, size=batch.labels.shape[-2:], mode="bilinear", align_corners=False)
        total += float(F.cross_entropy(logits, batch.labels, ignore_index=-100, reduction="sum"))
        count += float((batch.labels >= 0).sum())
    assert found().loss == pytest.approx(total / count, rel=1e-5)


def test_a_class_that_nobody_has_or_says_is_left_out_of_the_mean() -> None:
    result = figures(found(last_class=False), NAMES)
    assert result["per_class"]["d"] == {"value": None, "n": 0}
    values = [result["per_class"][name]["value"] for name in NAMES[:3]]
    assert result["mean_iou"]["value"] == pytest.approx(np.mean(values))


def test_agreement_is_the_share_of_equal_pixels() -> None:
    first, second = Batches(1).pairs(), Batches(2).pairs()
    same = sum(int((a == b).sum()) for (_, a), (_, b) in zip(first, second, strict=True))
    result = figures(found(1), NAMES, found(2))
    assert result["agreement"]["value"] == pytest.approx(same / sum(len(t) for t, _ in first))
    assert figures(found(1), NAMES, found(1))["agreement"]["value"] == 1


def naive_iou(pairs: list[Any], images: list[int]) -> float:
    truth, said = (np.concatenate([pairs[i][side] for i in images]) for side in (0, 1))
    ious = []
    for c in range(C):
        union = ((truth == c) | (said == c)).sum()
        if union:
            ious.append(((truth == c) & (said == c)).sum() / union)
    return float(np.mean(ious))


def test_the_paired_interval_is_a_bootstrap_over_images() -> None:
    pairs, n = (Batches(1).pairs(), Batches(2).pairs()), 6
    drawn = weights(n)
    assert drawn.shape == (REPLICATES, n)
    assert (drawn.sum(1) == n).all()
    values = []
    for row in drawn.long().tolist():
        images = [i for i, times in enumerate(row) for _ in range(times)]
        values.append(naive_iou(pairs[0], images) - naive_iou(pairs[1], images))
    result = difference(found(1), found(2))
    assert result.value == pytest.approx(naive_iou(pairs[0], list(range(n))) - naive_iou(pairs[1], list(range(n))))
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    assert result.n == n
    assert difference(found(1), found(1)).to_dict() == {"value": 0, "low": 0, "high": 0, "n": n, "clear": False}


def test_the_running_meter_gives_what_evaluation_gives() -> None:
    answer = MaskAnswer()
    meter = Meter(answer)
    for batch in Batches(1).batches:
        compared = answer.compare(batch.student, batch.labels)
        meter.add({"loss": answer.loss(compared), "outputs": compared.outputs}, batch.labels)
    values, result = meter.take(), figures(found(), NAMES)
    assert values["mean_iou"] == pytest.approx(result["mean_iou"]["value"])
    assert values["pixel_accuracy"] == pytest.approx(result["pixel_accuracy"]["value"])
    assert values["loss"] == pytest.approx(result["loss"], rel=1e-5)


def test_the_divergence_is_a_mean_over_labelled_pixels() -> None:
    answer, temperature = MaskAnswer(), 3.0
    student, teacher = torch.randn(2, C, 5, 7), torch.randn(2, C, 10, 14)
    labels = torch.randint(-1, C, (2, 10, 14))
    compared = answer.compare(student, labels, {"logits": teacher})
    got = answer.divergence(compared, lambda s, t: soft_divergence(s, t, temperature))
    resized = F.interpolate(student, size=(10, 14), mode="bilinear", align_corners=False)
    terms = []
    for n, y, x in (labels >= 0).nonzero().tolist():
        p, q = (F.softmax(logits[n, :, y, x] / temperature, 0) for logits in (teacher, resized))
        terms.append(float((p * (p / q).log()).sum()) * temperature**2)
    assert float(got) == pytest.approx(np.mean(terms), rel=1e-4)
