"""Pictures without any label: a backbone that timm loads, judged by a probe set or by nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from distill import recipes
from distill.control import Control
from distill.errors import InvalidConfig
from distill.run import run
from distill.student import load_student
from distill.tasks.nearest import TEMPERATURE, nearest_classes
from distill.tasks.pseudo_classes import pseudo_classes
from distill.training.head import Rows
from distill.types import Architecture, DatasetInput, TeacherInput
from tests.data.files import write_parquet
from tests.run.conftest import DIGITS, go, spec
from tests.run.digits import pictures

pytestmark = pytest.mark.long

SMALL: dict[str, Any] = {"train_limit": None, "quality_samples": 60, "epochs": 2, "batch_size": 32, "layers": 2}
STUDENT = Architecture(name="timm:convnext_atto", options={"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 16]})
ALONE = {"feature_logit": {"kl": False}, "semckd": {"logit_weight": 0}}


@pytest.fixture(scope="module")
def none(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    """150 digits without labels."""
    images, _ = pictures(150)
    path = write_parquet(tmp_path_factory.mktemp("none") / "x.parquet", images, [None] * 150)
    return DatasetInput(kind="parquet", name="none", files={"all": str(path)})


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    """200 other digits with labels."""
    images, labels = pictures(400)
    path = write_parquet(tmp_path_factory.mktemp("probe") / "x.parquet", images[200:], list(labels[200:]))
    return DatasetInput(kind="parquet", name="few labels", files={"all": str(path)})


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "artifacts" / "report.json").read_text())
    return found


def given(teacher: TeacherInput | tuple[TeacherInput, ...], none: DatasetInput, **changes: Any) -> Any:
    return spec(teacher, **{"dataset": none, "student": STUDENT} | SMALL | changes)


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory, teacher: TeacherInput, none: DatasetInput, probe: DatasetInput
) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("judged")
    return folder, go(given(teacher, none, probe=probe), folder)


def test_a_probe_set_judges_student_and_teacher(judged: tuple[Path, list[Any]]) -> None:
    """By nearest neighbours and a linear probe, named as such in the report, the card, the result and the metrics."""
    folder, events = judged
    assert events[-1].kind == "done"
    report = report_of(folder)
    for column in (report["student"], report["teacher"]):
        assert not {"accuracy", "agreement", "per_class", "loss"} & column.keys()
        assert column["knn"]["n"] == column["linear_probe"]["n"] == report["probe"]["test"] == 40
    assert report["teacher"]["knn"]["value"] > 0.6  # a teacher of digits
    assert report["probe"]["name"] == "few labels"
    assert report["probe"]["train"] + report["probe"]["validation"] == 160
    assert report["training"]["validation_metric"]["name"] == "loss"
    assert report["training"]["head"] is None
    assert report["student"]["held_out_loss"]["n"] == report["dataset"]["test"] == 30
    assert [metric["name"] for metric in report["metrics"]] == ["knn", "linear_probe", "held_out_loss"]
    text, card = ((folder / "artifacts" / name).read_text() for name in ("report.md", "README.md"))
    assert "nearest neighbours" in text
    assert "linear probe" in text
    assert "few labels" in card
    assert "num_classes=0" in card
    result = next(event.data for event in events if event.kind == "result")
    assert result["student"]["knn"] == report["student"]["knn"]
    tested = next(e.data["values"] for e in events if e.kind == "metrics" and e.data["split"] == "test")
    assert tested["knn"] == report["student"]["knn"]["value"]
    assert tested["teacher_linear_probe"] == report["teacher"]["linear_probe"]["value"]
    trained = [e.data["values"] for e in events if e.kind == "metrics" and e.data["split"] == "train"]
    assert all("cross_entropy" not in values and "accuracy" not in values for values in trained)


def test_the_student_is_a_backbone_that_timm_loads(judged: tuple[Path, list[Any]]) -> None:
    path = judged[0] / "artifacts" / "student.safetensors"
    described = json.loads((judged[0] / "artifacts" / "student.json").read_text())
    options = described["architecture"]["options"]
    channels = len(described["preprocessing"]["mean"])
    plain = timm.create_model(STUDENT.name.removeprefix("timm:"), num_classes=0, in_chans=channels, **options)
    plain.load_state_dict(load_file(path), strict=True)
    student, (picture, *_) = load_student(path), pictures(1)[0]
    (judged[0] / "one.png").write_bytes(picture or b"")
    found = student.features([judged[0] / "one.png"])
    assert found.shape == (1, 16)
    with torch.inference_mode():
        torch.testing.assert_close(plain.eval()(student.inputs([judged[0] / "one.png"])), found)
    with pytest.raises(InvalidConfig, match="backbone"):
        student.predict([judged[0] / "one.png"])


def test_the_curve_is_of_pseudo_classes_and_says_so(judged: tuple[Path, list[Any]]) -> None:
    folder, events = judged
    frame = next(event.data for event in events if event.kind == "layers")
    assert frame["grouping"] == "pseudo_classes"
    assert 2 <= frame["classes"] <= 10
    assert json.loads((folder / "artifacts" / "q-curve.json").read_text())["grouping"] == "pseudo_classes"
    assert "pseudo-classes" in report_of(folder)["q_curve"]["reading"]
    assert "pseudo-classes" in (folder / "artifacts" / "q-curve.svg").read_text()


def test_the_best_student_is_that_of_the_least_held_out_loss(judged: tuple[Path, list[Any]]) -> None:
    losses = [e.data["values"]["loss"] for e in judged[1] if e.kind == "metrics" and e.data["split"] == "validation"]
    assert report_of(judged[0])["training"]["best_validation"] == min(losses)


def test_without_a_probe_nothing_is_scored(tmp_path: Path, teacher: TeacherInput, none: DatasetInput) -> None:
    go(given(teacher, none, max_steps=2, ema_decay=0.9), tmp_path)
    report = report_of(tmp_path)
    assert report["verdict"]["text"].startswith("Nothing could be scored")
    assert not {"knn", "linear_probe"} & report["student"].keys()
    assert report["student"]["held_out_loss"]["value"] > 0
    assert report["probe"] is None


@pytest.mark.parametrize("recipe", recipes.without("needs_regions"))
def test_every_recipe_that_reads_features_learns_and_others_refuse(
    tmp_path: Path, teacher: TeacherInput, none: DatasetInput, recipe: str
) -> None:
    wanted = given(teacher, none, recipe=recipe, recipe_parameters=ALONE.get(recipe, {}), max_steps=1, epochs=1)
    unfit = recipes.needs_labels(recipe) or recipes.needs_index(recipe)
    if unfit or recipes.reads_logits(recipe, ALONE.get(recipe, {})):
        with pytest.raises(InvalidConfig) as caught:
            go(wanted, tmp_path)
        assert recipe in caught.value.message
        assert "feature_only" in caught.value.remedy
        return
    assert go(wanted, tmp_path)[-1].kind == "done"


def test_a_run_that_is_handed_over_ends_as_the_undisturbed_one(
    tmp_path: Path, teacher: TeacherInput, none: DatasetInput, judged: tuple[Path, list[Any]], probe: DatasetInput
) -> None:
    control, last = Control(), ""
    for event in run(given(teacher, none, probe=probe), tmp_path / "half", control):
        control.handover = control.handover or event.kind == "metrics"
        last = event.data["path"] if event.kind == "checkpoint" else last
    go(given(teacher, none, probe=probe, resume_from=last), tmp_path / "rest")
    reports = [report_of(folder) for folder in (judged[0], tmp_path / "rest")]
    assert reports[0]["digests"] == reports[1]["digests"]
    assert reports[0]["student"]["knn"] == reports[1]["student"]["knn"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"student": Architecture(name="retort:resnet8")}, "without a classifier"),
        ({"fit_head": True}, "no sample has a label"),
        ({"dataset": DIGITS}, "has some"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, teacher: TeacherInput, none: DatasetInput, probe: DatasetInput, changes: dict[str, Any], word: str
) -> None:
    with pytest.raises(InvalidConfig, match=word):
        go(given(teacher, none, **{"probe": probe} | changes), tmp_path)
    with pytest.raises(InvalidConfig, match="has no labels"):
        go(given(teacher, none, probe=none), tmp_path / "none")


def test_the_nearest_vote_by_similarity() -> None:
    """Against a naive loop; fewer known rows than neighbours too."""
    torch.manual_seed(0)
    for known, k in ((50, 20), (7, 7)):
        bank, asked, labels = torch.randn(known, 5), torch.randn(9, 5), torch.randint(0, 3, (known,))
        found = nearest_classes(Rows(bank, labels), asked, 3)
        for row, said in zip(asked, found.tolist(), strict=True):
            near = sorted(
                ((float(torch.cosine_similarity(row, b, 0)), int(c)) for b, c in zip(bank, labels, strict=True))
            )
            votes = Counter[int]()
            for similarity, label in near[-k:]:
                votes[label] += np.exp(similarity / TEMPERATURE)
            assert said == max(votes, key=lambda label: votes[label])


def test_pseudo_classes_find_clusters_and_follow_the_seed() -> None:
    torch.manual_seed(0)
    centres = torch.eye(8)[:3] * 10
    rows, truth = (centres.repeat_interleave(20, 0) + torch.randn(60, 8)), torch.arange(3).repeat_interleave(20)
    found = pseudo_classes(rows, 3, seed=0)
    assert len({(a, b) for a, b in zip(found.tolist(), truth.tolist(), strict=True)}) == 3
    assert torch.equal(found, pseudo_classes(rows, 3, seed=0))


def test_several_teachers_are_judged_one_by_one(
    tmp_path: Path, teacher: TeacherInput, none: DatasetInput, probe: DatasetInput
) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(Path(teacher.weights).read_bytes())
    pair = (
        teacher.model_copy(update={"label": "one"}),
        teacher.model_copy(update={"label": "two", "weights": str(copy)}),
    )
    go(given(pair, none, probe=probe, epochs=1), tmp_path)
    report = report_of(tmp_path)
    one, two = report["teachers"]
    assert (one["label"], two["label"]) == ("one", "two")
    assert one["knn"] == two["knn"]
    assert "knn" not in report["teacher"]
    assert "of the features of two" in report["verdict"]["text"]
    frames = [each["q_curve"]["digest"] for each in (one, two)]
    assert frames[0] == frames[1]  # the same file: the second teacher's curve is the first's
