"""Pictures of which only a part has labels: what has none teaches by the teacher alone, and no figure counts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import recipes
from distill.answers import ClassAnswer
from distill.answers.classes import PartlyLabelledAnswer
from distill.control import Control
from distill.errors import InvalidConfig
from distill.run import run
from distill.tasks.opening import splits_of
from distill.training.meter import Meter
from distill.types import DatasetInput, TeacherInput
from distill.unlabelled import NO_LABEL
from tests.data.files import write_parquet
from tests.run.conftest import config, go, spec
from tests.run.digits import pictures

pytestmark = pytest.mark.long

SMALL: dict[str, Any] = {"train_limit": None, "quality_samples": 30, "epochs": 1, "batch_size": 32}
LABELLED, WITHOUT = 100, 60


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    """Digits: 100 with a label, 60 without, and 40 to test on."""
    folder, (images, labels) = tmp_path_factory.mktemp("part"), pictures(200)
    train = write_parquet(folder / "train.parquet", images[:160], [*labels[:LABELLED], *[None] * WITHOUT])
    test = write_parquet(folder / "test.parquet", images[160:], list(labels[160:]))
    return DatasetInput(kind="parquet", name="part", files={"train": str(train), "test": str(test)})


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "artifacts" / "report.json").read_text())
    return found


@pytest.mark.parametrize("recipe", recipes.without("needs_regions"))
def test_every_recipe_learns_from_it(tmp_path: Path, teacher: TeacherInput, part: DatasetInput, recipe: str) -> None:
    events = go(spec(teacher, dataset=part, recipe=recipe, **SMALL), tmp_path)
    assert events[-1].kind == "done"
    report = report_of(tmp_path)
    data, alone = report["dataset"], recipes.needs_labels(recipe)
    assert data["train"] + data["validation"] == (LABELLED if alone else LABELLED + WITHOUT)
    assert data["unlabelled"] == (0 if alone else WITHOUT)
    assert report["student"]["accuracy"]["n"] == data["test"] == 40
    assert any(f"{WITHOUT}" in note for note in report["notes"])
    head = report["training"]["head"]
    assert head["samples"] == LABELLED - data["validation"]


def test_the_curve_is_of_labelled_pictures(tmp_path: Path, teacher: TeacherInput, part: DatasetInput) -> None:
    events = go(spec(teacher, dataset=part, **SMALL | {"quality_samples": 160, "max_steps": 1}), tmp_path)
    frame = next(event.data for event in events if event.kind == "layers")
    assert frame["classes"] == 10
    assert frame["samples"] <= LABELLED


def test_a_run_that_is_handed_over_ends_as_the_undisturbed_one(
    tmp_path: Path, teacher: TeacherInput, part: DatasetInput
) -> None:
    given = {"dataset": part, "recipe": "feature_logit"} | SMALL | {"epochs": 2}
    go(spec(teacher, **given), tmp_path / "whole")
    control, last = Control(), ""
    for event in run(spec(teacher, **given), tmp_path / "half", control):
        control.handover = control.handover or event.kind == "metrics"
        last = event.data["path"] if event.kind == "checkpoint" else last
    go(spec(teacher, **given, resume_from=last), tmp_path / "rest")
    assert report_of(tmp_path / "whole")["digests"] == report_of(tmp_path / "rest")["digests"]


def test_the_loss_is_of_labelled_rows_and_a_batch_without_one_has_none() -> None:
    answer, logits = PartlyLabelledAnswer(), torch.randn(5, 3, requires_grad=True)
    labels = torch.tensor([2, NO_LABEL, 0, NO_LABEL, 1])
    rows = labels != NO_LABEL
    expected = ClassAnswer().loss(ClassAnswer().compare(logits[rows], labels[rows]))
    torch.testing.assert_close(answer.loss(answer.compare(logits, labels)), expected)
    nothing = answer.loss(answer.compare(logits, torch.full((5,), NO_LABEL)))
    (gradient,) = torch.autograd.grad(nothing, logits)
    assert nothing.item() == 0
    assert not gradient.any()


def test_a_divergence_is_of_all_rows() -> None:
    answer, logits = PartlyLabelledAnswer(), torch.randn(4, 3)
    compared = answer.compare(logits, torch.full((4,), NO_LABEL), {"logits": torch.randn(4, 3)})
    seen: list[int] = []
    answer.divergence(compared, lambda student, teacher: (seen.append(len(student)), (student - teacher).mean())[1])
    assert seen == [4]


def test_figures_count_labelled_rows() -> None:
    """Means over the labelled rows of all batches, however they fell into them; terms of all rows count all."""
    meter, logits = Meter(PartlyLabelledAnswer()), torch.eye(3)
    for labels, loss in (([0, NO_LABEL, 0], 1.0), ([NO_LABEL] * 3, 0.0), ([0, 1, 2], 4.0)):
        parts = {"loss": torch.tensor(1.0), "cross_entropy": torch.tensor(loss), "outputs": logits}
        meter.add(parts, torch.tensor(labels))
    found = meter.take()
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["cross_entropy"] == pytest.approx((2 * 1.0 + 3 * 4.0) / 5)
    assert found["loss"] == 1
    meter.add({"loss": torch.tensor(2.0), "cross_entropy": torch.tensor(0.0), "outputs": logits}, torch.full((3,), -1))
    assert meter.take() == {"loss": 2}


def test_nothing_without_a_label_is_held_out_and_limits_keep_its_share() -> None:
    strata = torch.tensor([0, 1] * 50 + [NO_LABEL] * 300)
    found = splits_of(config(train_limit=104), strata, strata[:100])
    assert (strata[found.validation] != NO_LABEL).all()
    assert len(found.train) + len(found.validation) == 104
    assert (strata[found.train] == NO_LABEL).sum() == 78
    assert not set(found.train.tolist()) & set(found.validation.tolist())
    alone = splits_of(config(train_limit=None), strata, strata[:100], labelled=True)
    assert len(alone.train) + len(alone.validation) == 100


def test_what_needs_labels_refuses_data_without_any(tmp_path: Path) -> None:
    images, _ = pictures(20)
    path = write_parquet(tmp_path / "x.parquet", images, [None] * 20)
    given = DatasetInput(kind="parquet", name="none", files={"all": str(path)})
    with pytest.raises(InvalidConfig) as caught:
        go(spec(dataset=given, recipe="cross_entropy", **SMALL), tmp_path / "run")
    assert "cross_entropy" in caught.value.message
    assert "feature_only" in caught.value.remedy
