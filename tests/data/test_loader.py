"""The loader: determinism, resume, ranks, augmentation against naive references, normalisation, large images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from distill.data.limits import Limits
from distill.data.plan import DRAWS, Plan, draws
from distill.errors import InvalidConfig, InvalidDataset
from distill.modalities.images import Loader, open_dataset
from distill.modalities.images.crops import centre_box, crop_flip, random_box
from distill.modalities.images.large import evaluation_view
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.preprocessing import Preprocessing
from distill.types import DatasetInput
from tests.data.files import archive, image_bytes, write_zip

GREY = Preprocessing((0.5,), (0.25,), (8, 8), channels=1)
COLOUR = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), (16, 16), "bicubic", 3)


@pytest.fixture(scope="module")
def small():
    return open_dataset(DatasetInput(kind="named", name="digits")).train


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    files = {f"c{i % 2}/{i:02}.png": image_bytes(i, (40 + i, 50), "L" if i == 3 else "RGB") for i in range(20)}
    return open_dataset(archive(write_zip(tmp_path_factory.mktemp("large") / "a.zip", files))).train


def same(left, right):
    return (
        torch.equal(left.index, right.index)
        and torch.equal(left.labels, right.labels)
        and torch.equal(left.student, right.student)
        and (left.teacher is right.teacher is None or torch.equal(left.teacher, right.teacher))
    )


@pytest.mark.parametrize("which", ["small", "large"])
@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "randaugment"])
def test_start_gives_the_rest_of_the_undisturbed_epoch(request, which, augmentation):
    samples = request.getfixturevalue(which)
    loader = Loader(samples, range(min(40, len(samples))), 4, GREY, COLOUR, augmentation, seed=3)
    whole = list(loader.epoch(2))
    assert len(whole) == loader.batches_per_epoch
    again = Loader(samples, range(min(40, len(samples))), 4, GREY, COLOUR, augmentation, seed=3)
    assert all(same(a, b) for a, b in zip(whole[2:], again.epoch(2, start=2), strict=True))
    other = next(iter(loader.epoch(3)))
    assert not torch.equal(other.index, whole[0].index)


@pytest.mark.parametrize("which", ["small", "large"])
@pytest.mark.parametrize("augmentation", ["crop_flip", "randaugment"])
def test_a_sample_looks_the_same_in_any_batch(request, which, augmentation):
    samples = request.getfixturevalue(which)
    wide = Loader(samples, range(12), 12, GREY, None, augmentation, shuffle=False)
    narrow = Loader(samples, [7, 3], 2, GREY, None, augmentation, shuffle=False)
    torch.testing.assert_close(
        next(iter(wide.epoch(1))).student[[7, 3]], next(iter(narrow.epoch(1))).student, rtol=0, atol=0
    )


def test_epochs_and_seeds_augment_differently(small):
    def first(seed, epoch):
        return next(iter(Loader(small, range(64), 64, GREY, None, "crop_flip", seed, shuffle=False).epoch(epoch)))

    views = [first(*key).student for key in ((0, 0), (0, 1), (1, 0))]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(views, 2))


@pytest.mark.parametrize("augmentation", ["none", "crop_flip", "randaugment"])
def test_the_global_generator_is_left_alone(small, large, augmentation):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    for samples in (small, large):
        next(iter(Loader(samples, range(8), 4, GREY, None, augmentation).epoch(0)))
    assert torch.equal(state, torch.random.get_rng_state())


def test_values_without_augmentation(small):
    loader = Loader(small, range(len(small)), 16, GREY, shuffle=False)
    batch = next(iter(loader.epoch(0)))
    expected = (small.pixels(range(16)).double() / 255 - 0.5) / 0.25
    torch.testing.assert_close(batch.student.double(), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(batch.labels, small.labels[:16])
    assert batch.teacher is None


def test_indices_are_positions_in_the_samples(small):
    part = small.subset(range(100, 200))
    batch = next(iter(Loader(part, [5, 50], 2, GREY, shuffle=False).epoch(0)))
    assert batch.index.tolist() == [5, 50]
    assert torch.equal(batch.labels, small.labels[[105, 150]])
    expected = next(iter(Loader(small, [105, 150], 2, GREY, shuffle=False).epoch(0)))
    assert torch.equal(batch.student, expected.student)


def test_teacher_and_student_see_the_same_crop(small):
    twin = Preprocessing((0.1,), (0.5,), (8, 8), channels=1)
    batch = next(iter(Loader(small, range(32), 32, GREY, twin, "crop_flip").epoch(0)))
    student, teacher = batch.student * 0.25 + 0.5, batch.teacher * 0.5 + 0.1
    torch.testing.assert_close(student, teacher, rtol=1e-5, atol=1e-6)
    shared = next(iter(Loader(small, range(32), 32, GREY, GREY, "crop_flip").epoch(0)))
    assert shared.teacher is shared.student


def test_large_views_share_their_crop(large):
    small_view, big_view = COLOUR, Preprocessing(COLOUR.mean, COLOUR.std, (32, 32), "bicubic", 3)
    for augmentation in ("none", "crop_flip", "randaugment"):
        batch = next(iter(Loader(large, range(8), 8, small_view, big_view, augmentation).epoch(0)))
        assert batch.student.shape[-2:] == (16, 16)
        assert batch.teacher.shape[-2:] == (32, 32)
        # downscaling the teacher's view gives the student's, up to the resampling filter
        down = torch.nn.functional.interpolate(batch.teacher, size=(16, 16), mode="area")
        correlation = torch.corrcoef(torch.stack([down.flatten(), batch.student.flatten()]))[0, 1]
        assert correlation > 0.9


def test_workers_give_what_this_process_gives(large):
    here = Loader(large, range(16), 4, COLOUR, GREY, "crop_flip", seed=1)
    there = Loader(large, range(16), 4, COLOUR, GREY, "crop_flip", seed=1, workers=2)
    state = torch.random.get_rng_state()
    for epoch in (0, 1):
        assert all(same(a, b) for a, b in zip(here.epoch(epoch), there.epoch(epoch), strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
    there.close()


def test_an_epoch_left_early_does_not_leak_into_the_next(large):
    here = Loader(large, range(16), 2, COLOUR, None, "crop_flip", seed=1)
    there = Loader(large, range(16), 2, COLOUR, None, "crop_flip", seed=1, workers=1)
    next(iter(there.epoch(0)))
    assert all(same(a, b) for a, b in zip(here.epoch(1), there.epoch(1), strict=True))
    assert all(same(a, b) for a, b in zip(here.epoch(1, start=5), there.epoch(1, start=5), strict=True))
    there.close()


def test_without_room_in_shared_memory_the_batches_are_the_same(large, monkeypatch):
    here = Loader(large, range(8), 2, COLOUR, seed=1)
    there = Loader(large, range(8), 2, COLOUR, seed=1, workers=1)
    monkeypatch.setattr("distill.modalities.images.large.shares_memory", lambda *_: False)
    assert all(same(a, b) for a, b in zip(here.epoch(0), there.epoch(0), strict=True))
    there.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_breaks_later_is_named(tmp_path, workers):
    files = {f"{split}/c{i % 2}/{i}.png": image_bytes(i, (100, 100)) for i in range(8) for split in ("train", "test")}
    files["train/c1/late.png"] = image_bytes(1, (100, 100))[:-9000]
    data = open_dataset(archive(write_zip(tmp_path / "a.zip", files)), Limits(verify_pixels=0)).train
    loader = Loader(data, range(len(data)), 2, COLOUR, shuffle=False, drop_last=False, workers=workers)
    with pytest.raises(InvalidDataset, match="late") as caught:
        list(loader.epoch(0))
    assert caught.value.remedy
    assert caught.value.details == {"image": "train/c1/late.png"}
    loader.close()


@given(st.integers(1, 60), st.integers(1, 9), st.booleans(), st.integers(1, 4))
def test_ranks_share_the_global_batches(count, batch, drop_last, world):
    plans = [Plan(count, batch, 0, True, drop_last, rank, world) for rank in range(world)]
    one = Plan(count, batch * world, 0, True, drop_last)
    assert len({plan.batches for plan in plans}) == 1
    assert plans[0].batches <= one.batches
    order = one.order(4)
    for number in range(plans[0].batches):
        parts = [plan.batch_of(plan.order(4), number) for plan in plans]
        assert torch.cat(parts).tolist() == one.batch_of(order, number).tolist()
        assert min(map(len, parts)) >= 1
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if drop_last and plans[0].batches > 1:
        assert all(len(plan.batch_of(order, i)) == batch for plan in plans for i in range(plan.batches))


def test_an_epoch_without_drop_last_has_every_sample_once(small):
    loader = Loader(small, range(100), 32, GREY, drop_last=False)
    seen = torch.cat([batch.host_index for batch in loader.epoch(0)])
    assert sorted(seen.tolist()) == list(range(100))


def test_crop_flip_against_a_loop():
    pixels = torch.randint(0, 256, (10, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    numbers = draws(0, 0, 10)
    out = crop_flip(pixels, numbers)
    for i in range(10):
        padded = torch.nn.functional.pad(pixels[i], (3, 3, 2, 2))
        top, left = int(numbers[i, 0] * 5), int(numbers[i, 1] * 7)
        one = padded[:, top : top + 16, left : left + 24]
        assert torch.equal(out[i], one if numbers[i, 2] < 0.5 else one.flip(-1))


@given(st.integers(1, 2000), st.integers(1, 2000), st.lists(st.floats(0, 0.999), min_size=DRAWS, max_size=DRAWS))
def test_random_box_lies_within_the_image(h, w, numbers):
    left, top, right, bottom = random_box((h, w), numbers)
    assert 0 <= left < right <= w
    assert 0 <= top < bottom <= h


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 300), st.integers(1, 300), st.floats(0.1, 1))
def test_centre_box(h, w, height, width, crop):
    left, top, right, bottom = centre_box((h, w), (height, width), crop)
    assert 0 <= left < right <= w
    assert 0 <= top < bottom <= h
    assert abs((right - left) * height - (bottom - top) * width) < 1e-6 * h * w * height * width
    assert abs(left + right - w) < 1e-6 * w


@pytest.mark.parametrize("size", [32, 224, 384])
@pytest.mark.parametrize("crop", [1.0, 0.95, 0.875])
def test_centre_box_of_every_size_lies_within_the_image(size, crop):
    """Pillow refuses a box that rounding has lifted over an edge by 1e-15."""
    for short in range(1, 1200):
        for h, w in ((short, short + 7), (short + 24, short)):
            left, top, right, bottom = centre_box((h, w), (size, size), crop)
            assert 0 <= left < right <= w
            assert 0 <= top < bottom <= h


def test_an_image_whose_box_rounds_is_shown():
    wanted = Preprocessing((0.5,) * 3, (0.25,) * 3, (224, 224), "bicubic", 3, crop=1.0)
    assert evaluation_view(Image.new("RGB", (140, 116)), wanted).shape == (3, 224, 224)


def test_centre_crop_is_torchvisions():
    """Resize the shorter side to size / crop and cut the centre: the box is what that keeps."""
    assert centre_box((256, 256), (224, 224), 0.875) == (16, 16, 240, 240)
    assert centre_box((100, 100), (224, 224), 0.875) == (0, 0, 100, 100)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_resizing_whole_tensors_is_near_pillows(mode):
    rng = np.random.default_rng(0)
    array = np.kron(rng.integers(0, 256, (8, 8)), np.ones((4, 4))).astype(np.uint8)
    wanted = Preprocessing((0.0,), (1 / 255,), (16, 16), mode, 1)
    ours = Normaliser(wanted, torch.device("cpu"))(torch.from_numpy(array)[None, None])[0, 0]
    resampling = getattr(Image.Resampling, mode.upper())
    pillow = np.asarray(Image.fromarray(array).resize((16, 16), resampling), np.float32)
    # Pillow rounds and clips between its two passes, which shows where bicubic overshoots.
    assert np.abs(ours.numpy() - pillow).max() <= (3.0 if mode == "bicubic" else 1.0)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [GREY, COLOUR])
def test_normaliser(channels_last, channels, wanted):
    pixels = torch.randint(0, 256, (4, channels, *wanted.size), dtype=torch.uint8)
    out = Normaliser(wanted, torch.device("cpu"), channels_last)(pixels)
    x = pixels.double()
    if channels == 3 and wanted.channels == 1:
        x = 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (wanted.mean, wanted.std))
    torch.testing.assert_close(out.double(), ((x / 255 - mean) / std).expand(out.shape), rtol=1e-5, atol=1e-5)
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def test_bad_settings(small):
    for options in ({"augmentation": "blur"}, {"batch_size": 0}, {"rank": 1}, {"indices": []}):
        arguments = {"indices": range(8), "batch_size": 4, "student": GREY} | options
        with pytest.raises(InvalidConfig):
            Loader(small, **arguments)


def test_a_single_incomplete_batch_is_kept(small):
    loader = Loader(small, range(5), 32, GREY, drop_last=True)
    assert [len(batch.labels) for batch in loader.epoch(0)] == [5]
