"""Bad datasets and networks of another task: refused by name, with a remedy, or left out and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.errors import InvalidConfig, InvalidDataset
from distill.tasks.segment_images.answer import MaskAnswer
from distill.tasks.segment_images.opening import Raw, open_raw
from distill.tasks.segment_images.report import report
from distill.tasks.segment_images.task import SegmentImages
from distill.types import Architecture, DatasetInput, TeacherInput
from tests.segmentation.shapes import CLASSES, archive, files, picture, png, run_spec

NAMES = {"classes.txt": "\n".join(CLASSES).encode()}


def opened(content: dict[str, bytes], folder: Path) -> Raw:
    return open_raw(archive(folder, content))


def refused(content: dict[str, bytes], folder: Path) -> InvalidDataset:
    with pytest.raises(InvalidDataset) as caught:
        opened(content, folder)
    assert caught.value.code == "invalid_dataset"
    assert caught.value.fault == "user"
    assert caught.value.remedy
    return caught.value


def test_masks_of_another_size(tmp_path: Path) -> None:
    wrong = png(picture(0, (16, 32))[1])
    error = refused(files(6) | NAMES | {"masks/000.png": wrong}, tmp_path)
    assert error.details["other_size"] == 1
    assert error.details["first"][0]["image"] == "images/000.png"


def test_one_mask_of_another_size_in_a_hundred_is_left_out_and_named(tmp_path: Path) -> None:
    raw = opened(files(100, size=(12, 12)) | NAMES | {"masks/007.png": png(picture(0, (16, 32))[1])}, tmp_path)
    assert list(raw.other_size) == ["images/007.png"]
    assert len(raw.train) + len(raw.test) == 99
    assert any("images/007.png" in note for note in raw.notes)
    assert report(raw).to_dict()["other_size_examples"] == raw.other_size


def test_values_beyond_the_classes(tmp_path: Path) -> None:
    mask = picture(0)[1]
    mask[5, :3] = 9
    error = refused(files(6) | NAMES | {"masks/003.png": png(mask)}, tmp_path)
    assert error.details == {"mask": "masks/003.png", "values": [9]}


def test_coloured_masks_without_a_map(tmp_path: Path) -> None:
    content = files(6)
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
    for i in range(6):
        content[f"masks/{i:03d}.png"] = png(colours[picture(i, void=False)[1]])
    error = refused(content, tmp_path)
    assert "label_colors.txt" in error.remedy


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_masks(form: str, tmp_path: Path) -> None:
    error = refused(files(6) | NAMES | {"masks/002.png": png(picture(2)[1], form=form)}, tmp_path)
    assert error.details == {"mask": "masks/002.png"}
    assert "PNG" in error.remedy


def test_images_without_masks_are_named(tmp_path: Path) -> None:
    content = files(6) | NAMES
    del content["masks/004.png"]
    raw = opened(content, tmp_path)
    assert raw.unmasked == ("images/004.png",)
    assert report(raw).to_dict()["unmasked"] == 1
    assert any("images/004.png" in note for note in raw.notes)


def test_no_image_has_a_mask(tmp_path: Path) -> None:
    content = {path.replace("masks/", "masks/of-"): data for path, data in files(3).items()}
    assert refused(content, tmp_path).details["unmasked"] == [f"images/{i:03d}.png" for i in range(3)]


def test_a_class_that_is_nowhere_is_named_and_left_out_of_the_mean(tmp_path: Path) -> None:
    raw = opened(files(6) | {"classes.txt": "\n".join([*CLASSES, "unicorn"]).encode()}, tmp_path)
    assert [note.split()[1] for note in raw.notes if "unicorn" in note] == ["train", "test"]
    assert raw.train.pixels[:, 3].sum() == 0


def test_all_pixels_ignored(tmp_path: Path) -> None:
    blank = png(np.full((32, 32), 255, np.uint8))
    error = refused({path: blank if "masks" in path else data for path, data in files(4).items()} | NAMES, tmp_path)
    assert "classes.txt" not in error.remedy  # names of classes would not mend it
    raw = opened(files(6) | NAMES | {"masks/001.png": blank}, tmp_path)
    assert len(raw.train) + len(raw.test) == 5
    assert any("images/001.png" in note for note in raw.notes)


def test_unreadable_masks(tmp_path: Path) -> None:
    error = refused(files(6) | NAMES | {"masks/001.png": b"no png"}, tmp_path)
    assert "masks/001.png" in error.details["first"][0]["reason"]


def test_two_masks_of_one_name(tmp_path: Path) -> None:
    refused(files(3) | {"masks/000.bmp": png(picture(0)[1], form="BMP")}, tmp_path)


def test_a_dataset_without_masks(tmp_path: Path) -> None:
    refused({path: data for path, data in files(3).items() if "masks" not in path}, tmp_path)


def test_a_batch_without_a_labelled_pixel_has_no_loss_and_a_gradient_of_zero() -> None:
    answer = MaskAnswer()
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.full((2, 8, 8), -100)
    compared = answer.compare(logits, labels, {"logits": torch.randn(2, 3, 4, 4)})
    parts = (answer.loss(compared), answer.divergence(compared, lambda s, t: (s - t).square().mean()))
    for part in parts:
        (gradient,) = torch.autograd.grad(part, logits, retain_graph=True)
        assert float(part.detach()) == 0
        assert not gradient.any()
    assert int(answer.weight(labels)) == 0


@pytest.mark.parametrize(
    ("said", "labels", "judged"),
    [
        ([0] * 64, [0] * 40 + [1] * 20 + [-100] * 4, True),
        ([2] * 64, [0] * 40 + [1] * 24, True),
        ([0] * 60 + [1] * 4, [0] * 40 + [1] * 24, False),
        ([0] * 64, [0] * 60 + [-100] * 4, False),  # one class alone: a constant answer is right
    ],
)
def test_a_student_that_says_one_class_is_at_chance(said: list[int], labels: list[int], judged: bool) -> None:
    answer, truth = MaskAnswer(), torch.tensor(labels).view(1, 8, 8)
    logits = torch.nn.functional.one_hot(torch.tensor(said).view(1, 8, 8), 3).permute(0, 3, 1, 2).float()
    outputs = answer.compare(logits, truth).outputs
    values = answer.values(answer.figures(outputs, truth), float((truth >= 0).sum()))
    why = answer.at_chance({"mean_iou": min(values["mean_iou"], 0.5)}, None, lambda: answer.tally(outputs, truth))
    assert (why is not None) == judged


@pytest.mark.parametrize("shapes", [((2, 3), (2, 8, 8)), ((2, 3, 4, 4), (2,))])
def test_a_classifiers_answers_are_refused(shapes: Any) -> None:
    with pytest.raises(InvalidConfig):
        MaskAnswer().compare(torch.zeros(shapes[0]), torch.zeros(shapes[1], dtype=torch.long))


def missing(kind: str = "archive") -> DatasetInput:
    return DatasetInput(kind=kind, name="never opened", files={"all": "/nowhere.zip"})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["retort:resnet8", "timm:resnet18", "torchvision:resnet18", "transformers:bert"])
def test_networks_of_another_task_are_refused_before_anything_is_opened(name: str, tmp_path: Path) -> None:
    spec = run_spec(missing())
    other = Architecture(name=name)
    teacher = TeacherInput(architecture=other, weights="/nowhere", num_classes=3, digest="")
    for change in ({"student": other}, {"teacher": teacher}):
        with pytest.raises(InvalidConfig) as caught:
            SegmentImages(spec.model_copy(update=change), tmp_path)
        assert caught.value.details["value"] == name
        assert caught.value.details["field"] in change


@pytest.mark.parametrize("name", ["retort:fpn", "torchvision:fcn_resnet50", "transformers:segformer"])
def test_a_network_for_masks_is_no_classifier(name: str, tmp_path: Path) -> None:
    from distill.tasks.classify_images.task import ClassifyImages

    with pytest.raises(InvalidConfig) as caught:
        ClassifyImages(run_spec(missing()).model_copy(update={"student": Architecture(name=name)}), tmp_path)
    assert caught.value.details["value"] == name


@pytest.mark.parametrize("change", [{"augmentation": "randaugment"}, {"recipe": "simkd"}])
def test_settings_that_masks_cannot_have(change: dict[str, str], tmp_path: Path) -> None:
    spec = run_spec(missing())
    with pytest.raises(InvalidConfig) as caught:
        SegmentImages(spec.model_copy(update={"config": spec.config.model_copy(update=change)}), tmp_path)
    assert caught.value.details["value"] in change.values()
