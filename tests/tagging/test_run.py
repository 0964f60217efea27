"""What a run on lists of labels asks of its task."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from distill import recipes
from distill.errors import InvalidConfig
from distill.safetensors_header import read_header
from distill.student import load_student
from distill.tasks.forecast import Parts, forecast
from distill.tasks.spec import TaskSpec
from distill.tasks.tag_images import SPEC
from distill.tasks.tag_images.task import TagImages
from distill.training.data import Order
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec, TeacherInput
from tests.tagging.shapes import CLASSES, archive, png
from tests.tasks.house import go

STUDENT = Architecture(name="retort:resnet8", options={"width": 4})
ORDER = Order(16, torch.device("cpu"), shuffle=True, drop_last=True, teacher=False, augment=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    return archive(tmp_path_factory.mktemp("shapes"))


def task(dataset: DatasetInput, folder: Path, **settings: Any) -> TagImages:
    config = DistillConfig(recipe="cross_entropy", device="cpu", **settings)
    return TagImages(RunSpec(config=config, student=STUDENT, dataset=dataset), folder)


def test_the_rows_of_the_curve_are_pictures_in_the_group_of_their_rarest_label(
    dataset: DatasetInput, tmp_path: Path
) -> None:
    """Those without a label are left out; every picture is a row once, in the order of the batches."""
    made = task(dataset, tmp_path, quality_samples=30)
    groups = made.groups(made.student)
    assert not isinstance(groups, str)
    labels = made.samples("train").labels
    rarest = labels[:, labels.sum(0).argsort()].byte().argmax(1)
    order = labels.sum(0).argsort()
    assert labels[groups.sample].any(1).all()
    assert len(set(groups.sample.tolist())) == len(groups.sample) <= 30
    assert groups.labels.tolist() == order[rarest[groups.sample]].tolist()
    counts = torch.bincount(groups.labels)
    assert (len(counts), int(counts.max())) == (
        groups.groups,
        10,
    )
    assert sum(len(batch) for batch in groups.batches()) == len(groups.sample)


def test_mixed_pictures_have_the_labels_of_both(dataset: DatasetInput, tmp_path: Path) -> None:
    made = task(dataset, tmp_path, mixup=1.0)
    mixed = next(iter(made.loader(made.splits.train, ORDER).epoch(0)))
    plain = next(iter(task(dataset, tmp_path).loader(made.splits.train, ORDER).epoch(0)))
    assert mixed.host_index.tolist() == plain.host_index.tolist()
    own, other = plain.labels.float(), plain.labels.float().roll(1, 0)
    apart = own != other
    share = ((mixed.labels - other) / (own - other))[apart]
    torch.testing.assert_close(share, share[:1].expand_as(share))
    torch.testing.assert_close(mixed.labels[~apart], own[~apart])
    compared = made.answer.compare(torch.zeros_like(own), mixed.labels)
    assert float(made.answer.loss(compared)) == pytest.approx(0.6931, abs=1e-3)


def test_every_label_is_held_out_for_validation(dataset: DatasetInput, tmp_path: Path) -> None:
    made = task(dataset, tmp_path, validation_fraction=0.2)
    labels = made.samples("train").labels
    assert labels[made.splits.validation].any(0).all()
    assert labels[made.splits.train].any(0).all()


@pytest.mark.parametrize(("asked", "wanted"), [("auto", 0.5), (0.2, 0.2)])
def test_the_threshold_is_told_resolved(dataset: DatasetInput, tmp_path: Path, asked: Any, wanted: float) -> None:
    assert task(dataset, tmp_path, threshold=asked).decided()["threshold"] == wanted


def test_cutmix_and_a_fitted_head_are_refused(dataset: DatasetInput, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as caught:
        task(dataset, tmp_path, cutmix=1.0)
    assert caught.value.details["field"] == "cutmix"
    assert task(dataset, tmp_path).answer.no_fit()


def test_recipes_that_choose_one_class_are_not_offered() -> None:
    """By a flag of their own: the task names none of them."""
    assert isinstance(SPEC, TaskSpec)
    missing = {name for name in recipes.names() if not SPEC.offers(name)}
    assert missing == {n for n in recipes.names() if recipes.get(n).one_class or recipes.get(n).needs_regions}
    assert {"dkd", "dist", "logit_standardized", "ofa"} <= missing
    assert {"logit", "feature_only", "crd", "blockwise_logit"} <= set(SPEC.recipes)


def test_a_teacher_of_one_class_a_picture_teaches_by_its_features(dataset: DatasetInput, tmp_path: Path) -> None:
    """Its logits are a choice among the same classes; whoever says so has them read all the same."""
    config = DistillConfig(recipe="cross_entropy", device="cpu", epochs=1, precision="fp32", batch_size=16)
    trained = RunSpec(config=config, student=STUDENT, dataset=dataset)
    assert go(trained, tmp_path / "taught")[-1].kind == "done"
    path = tmp_path / "taught/artifacts/student.safetensors"
    tensors, header = load_file(path), read_header(path).metadata
    save_file(tensors, path, header | {"task": '"classify_images"'})
    teacher = TeacherInput(architecture=STUDENT, weights=str(path), num_classes=3, digest="d")

    def opened(recipe: str, **settings: Any) -> TagImages:
        changed = config.model_copy(update={"recipe": recipe} | settings)
        return TagImages(trained.model_copy(update={"config": changed, "teacher": teacher}), tmp_path)

    with pytest.raises(InvalidConfig, match="trained for Image classification"):
        opened("logit")
    assert not opened("feature_only").teacher_classes.same
    assert opened("logit", teacher_classes="same").teacher_classes.same
    report = {"num_classes": 3, "metadata": header | {"task": '"classify_images"'}}
    asked = config.model_copy(update={"recipe": "logit"})
    parts = Parts(asked, STUDENT, {"classes": list(CLASSES)}, teachers=(report,))
    assert [each.pointer for each in forecast(SPEC.name).misfits(parts)] == ["/teacher"]


def test_a_network_of_transformers_tags_pictures(dataset: DatasetInput, tmp_path: Path) -> None:
    """A ViT by its configuration, from training to the file that is loaded again."""
    options = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "image_size": 12, "patch_size": 4,
    }  # fmt: skip
    student = Architecture(name="transformers:vit", options=options)
    config = DistillConfig(recipe="cross_entropy", device="cpu", epochs=1, precision="fp32", batch_size=16)
    assert go(RunSpec(config=config, student=student, dataset=dataset), tmp_path)[-1].kind == "done"
    with Image.open(io.BytesIO(png(1, (True, False, True)))) as image:
        (told,) = load_student(tmp_path / "artifacts/student.safetensors").predict([image])
    assert set(told.scores) == set(CLASSES)
