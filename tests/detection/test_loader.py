"""Batches of images and boxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from distill.data.plan import Plan
from distill.errors import InvalidConfig
from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks._images.framed import Seeing
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.framing import whole
from distill.tasks.detect_objects.loader import BoxLoader
from distill.tasks.detect_objects.samples import Dataset, Samples, open_dataset
from tests.detection.layouts import archive, coco, scenes, voc

STUDENT = Preprocessing((0.5,) * 3, (0.25,) * 3, (40, 60))
TEACHER = Preprocessing((0.4,) * 3, (0.2,) * 3, (80, 120))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(archive(tmp_path_factory.mktemp("boxes"), coco(scenes())))


def loader(dataset: Dataset, seeing: Seeing, workers: int = 0, seed: int = 0) -> BoxLoader:
    indices = torch.arange(len(dataset.train))
    return BoxLoader(dataset.train, indices, Plan(len(indices), 4, seed), seeing, workers=workers)


def test_labels_are_boxes_in_pixels_of_the_students_input(dataset: Dataset) -> None:
    for batch in loader(dataset, Seeing(STUDENT, TEACHER)).epoch(0):
        assert batch.student.shape[1:] == (3, 40, 60)
        assert batch.teacher is not None
        assert batch.teacher.shape[1:] == (3, 80, 120)
        most = 1
        for rows, position in zip(batch.labels, batch.host_index.tolist(), strict=True):
            image, boxes = dataset.train.pair(position)
            found = rows[rows[:, 4] >= 0]
            expected = whole((image.height, image.width)).to_input(boxes.corners, STUDENT.size)
            assert torch.equal(found[:, :4], torch.from_numpy(expected))
            assert found[:, 4].tolist() == boxes.classes.tolist()
            most = max(most, len(boxes))
        assert batch.labels.shape[1:] == (most, 6)


@pytest.mark.parametrize("augmentation", SPEC.augmentations)
def test_an_epoch_begins_anywhere(dataset: Dataset, augmentation: str) -> None:
    """And gives the same in worker processes."""
    seeing = Seeing(STUDENT, TEACHER, augmentation)
    straight = list(loader(dataset, seeing).epoch(3))
    later = list(loader(dataset, seeing).epoch(3, start=1))
    for one, other in zip(straight[1:], later, strict=True):
        assert torch.equal(one.student, other.student)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.teacher, other.teacher)  # type: ignore[arg-type]
    again = list(loader(dataset, seeing).epoch(4))
    same = all(torch.equal(one.student[0], other.student[0]) for one, other in zip(straight, again, strict=True))
    assert not same or augmentation == "none"


def test_worker_processes_give_the_same(dataset: Dataset) -> None:
    seeing = Seeing(STUDENT, None, "crop_flip")
    apart = loader(dataset, seeing, workers=1)
    for one, other in zip(loader(dataset, seeing).epoch(0), apart.epoch(0), strict=True):
        assert torch.equal(one.student, other.student)
        assert torch.equal(one.labels, other.labels)
    apart.close()


def test_a_mosaic_is_made_of_the_loaders_own_samples(dataset: Dataset) -> None:
    """Those that are held out for validation stay out of training."""
    seen = set[int]()

    class Recording(Samples):
        def pair(self, i: int) -> tuple[Image.Image, Boxes]:
            seen.add(i)
            return super().pair(i)

    indices = torch.tensor([1, 4, 7, 8])
    samples = Recording(dataset.train.split, len(dataset.classes))
    for epoch in range(8):
        list(BoxLoader(samples, indices, Plan(4, 4, 0), Seeing(STUDENT, None, "mosaic")).epoch(epoch))
    assert seen == set(indices.tolist())


@pytest.mark.parametrize("augmentation", SPEC.augmentations)
def test_boxes_lie_in_the_input(dataset: Dataset, augmentation: str) -> None:
    for batch in loader(dataset, Seeing(STUDENT, None, augmentation)).epoch(1):
        rows = batch.labels[batch.labels[..., 4] >= 0]
        assert (rows[:, :2] < rows[:, 2:4]).all()
        assert (rows[:, :4] >= 0).all()
        assert (rows[:, 2] <= 60).all()
        assert (rows[:, 3] <= 40).all()


def test_colours_change_and_the_random_state_does_not(dataset: Dataset) -> None:
    state = torch.random.get_rng_state()
    plain, coloured = (
        next(iter(loader(dataset, Seeing(STUDENT, None, name)).epoch(0))) for name in ("crop_flip", "crop_flip_colour")
    )
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(plain.labels, coloured.labels)
    assert not torch.equal(plain.student, coloured.student)


def test_what_would_bend_images_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InvalidConfig):
        loader(dataset, Seeing(STUDENT, None, "randaugment"))


def test_a_given_validation_split_is_told(tmp_path: Path) -> None:
    made = scenes()
    extra = [replace(scene, stem=f"v{i}", split="val") for i, scene in enumerate(made[:3])]
    found = open_dataset(archive(tmp_path, voc([*made, *extra])))
    assert len(found.train) == 15
    names = [found.train.name(i) for i in found.validation.tolist()]
    assert [name.rpartition("/")[2] for name in names] == ["v0.png", "v1.png", "v2.png"]
    assert len(found.train.strata) == 15
