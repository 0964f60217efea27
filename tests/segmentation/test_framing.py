"""Image and mask, teacher and student move together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill.data.plan import Plan
from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks._images.framed import Seeing
from distill.tasks.segment_images.framing import Frame, drawn, show, show_mask, whole
from distill.tasks.segment_images.legend import IGNORED
from distill.tasks.segment_images.loader import MaskLoader
from distill.tasks.segment_images.samples import open_dataset
from tests.segmentation.shapes import archive, files

NUMBERS = st.floats(0, 1, exclude_max=True, width=32)
NEAREST = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (24, 40), "nearest")


def coded(size: tuple[int, int]) -> tuple[Image.Image, np.typing.NDArray[np.int16]]:
    """An image whose colour says which pixel it is, and its mask with the same code."""
    code = np.arange(size[0] * size[1]).reshape(size)
    rgb = np.stack([code % 256, code // 256, np.full(size, 77)], 2).astype(np.uint8)
    return Image.fromarray(rgb), code.astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=6, max_size=6), st.tuples(st.integers(5, 60), st.integers(5, 60)))
def test_every_pixel_keeps_its_class(numbers: list[float], size: tuple[int, int]) -> None:
    image, mask = coded(size)
    frame = drawn(size, numbers)
    pixels, classes = show(image, frame, NEAREST).astype(np.int64), show_mask(mask, frame, NEAREST.size)
    shown = pixels[0] + 256 * pixels[1]
    inside = pixels[2] == 77
    assert np.array_equal(inside, classes != IGNORED)
    # Pillow's nearest and ours may differ by one pixel where a centre falls on a border.
    rows, columns = (np.abs(a - b) for a, b in zip(_places(shown, size), _places(classes, size), strict=True))
    assert (rows[inside] <= 1).all()
    assert (columns[inside] <= 1).all()


def _places(code: np.typing.NDArray[np.int64], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return code.astype(np.int64) // size[1], code.astype(np.int64) % size[1]


def test_scales_and_flips() -> None:
    image, mask = coded((24, 40))
    assert np.array_equal(show_mask(mask, whole((24, 40)), (24, 40)), mask)
    mirrored = Frame(whole((24, 40)).box, mirrored=True)
    assert np.array_equal(show_mask(mask, mirrored, (24, 40)), mask[:, ::-1])
    assert np.array_equal(show(image, mirrored, NEAREST), show(image, whole((24, 40)), NEAREST)[:, :, ::-1])
    half = show_mask(mask, drawn((24, 40), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), (24, 40))
    assert (half[:12, :20] != IGNORED).all()
    assert (half[12:] == IGNORED).all()
    double = show_mask(mask, drawn((24, 40), [0.0, 0.0, 0.0, 1 - 1e-9, 0.0, 0.0]), (24, 40))
    assert np.array_equal(double, np.repeat(np.repeat(mask[:12, :20], 2, 0), 2, 1))


def test_teacher_and_student_see_one_crop_and_an_epoch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data = open_dataset(archive(tmp_path, files(10)))
    small = Preprocessing((0.5,) * 3, (0.25,) * 3, (16, 16))
    large = Preprocessing((0.5,) * 3, (0.25,) * 3, (32, 32))
    plan = Plan(8, 2, seed=3)
    seeing = Seeing(small, large, "crop_flip")
    loader = MaskLoader(data.train, range(8), plan, seeing)
    batches = list(loader.epoch(1))
    assert [tuple(batches[0].student.shape), tuple(batches[0].labels.shape)] == [(2, 3, 16, 16), (2, 16, 16)]
    for batch in batches:
        assert batch.teacher is not None
        shrunk = torch.nn.functional.avg_pool2d(batch.teacher, 2)
        assert float((shrunk - batch.student).abs().mean()) < 0.35  # noise of 30 of 255 a pixel, less what is averaged
    again = list(MaskLoader(data.train, range(8), plan, seeing).epoch(1, start=2))
    for one, two in zip(batches[2:], again, strict=True):
        assert torch.equal(one.student, two.student)
        assert torch.equal(one.labels, two.labels)
    other = next(iter(loader.epoch(2)))
    assert not torch.equal(other.labels, batches[0].labels)
