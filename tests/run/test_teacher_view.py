"""A teacher sees pictures as it was told at registration; the student sees as it always does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from distill.errors import InvalidTeacher
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.preprocessing import Preprocessing
from distill.models import build
from distill.recorded import read_view
from distill.tasks import get, networks
from distill.tasks.networks import Sent
from distill.told import assumed, told_view
from distill.types import Architecture, DistillConfig, RunSpec, TeacherInput, TeacherPreprocessing
from tests.data.files import archive, tree, write_zip

MEAN, STD = [0.1, 0.2, 0.3], [0.5, 0.25, 0.125]
RETORT, TIMM = Architecture(name="retort:resnet8", options={"width": 4}), Architecture(name="timm:resnet10t")


def given(**told: Any) -> TeacherPreprocessing:
    return TeacherPreprocessing.model_validate(told)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mean", [float("nan"), 0, 0]), ("mean", [float("inf"), 0, 0]), ("mean", [0.1, 0.2]), ("mean", []),
        ("mean", [123.675, 116.28, 103.53]), ("std", [0.0, 0.2, 0.2]), ("std", [-0.1, 0.2, 0.2]), ("std", [57.0] * 3),
        ("std", [0.2] * 4), ("input_size", 0), ("input_size", 4097), ("input_size", [224]), ("input_size", [224, 0]),
        ("interpolation", "lanczos"), ("crop_pct", 0), ("crop_pct", 1.1), ("crop_pct", True), ("channel_order", "GBR"),
        ("palette", "x"),
    ],
)  # fmt: skip
def test_what_no_network_was_trained_with_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        given(**{field: value})


def test_fields_that_contradict_one_another_are_refused() -> None:
    for told in ({"mean": MEAN, "std": [0.5]}, {"mean": [0.5], "channel_order": "BGR"}):
        with pytest.raises(ValidationError):
            given(**told)


@pytest.mark.parametrize(
    "told", [{"mean": MEAN}, {"std": STD}, {"channel_order": "BGR"}], ids=["mean", "std", "channel_order"]
)
def test_colour_for_a_grey_network_is_the_teachers_fault_and_names_the_field(told: dict[str, Any]) -> None:
    with pytest.raises(InvalidTeacher) as caught:
        told_view(given(**told), 1)
    assert caught.value.details["field"] == f"preprocessing.{next(iter(told))}"
    assert told_view(given(**told), 3)


def test_only_what_was_told_replaces_the_default() -> None:
    assert told_view(given(), 3) == {}
    found = told_view(given(mean=MEAN, input_size=48, crop_pct=0.9), 3)
    assert found == {"mean": tuple(MEAN), "size": (48, 48), "crop": 0.9}
    assert told_view(given(input_size=[40, 48]), 3) == {"size": (40, 48)}


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_bgr_networks_channels_are_really_exchanged(channels_last: bool) -> None:
    pixels = torch.randint(0, 256, (2, 3, 6, 6), dtype=torch.uint8)
    how = Preprocessing(tuple(MEAN), tuple(STD), (6, 6), channel_order="BGR")
    found = Normaliser(how, torch.device("cpu"), channels_last)(pixels)
    for network, picture in ((0, 2), (1, 1), (2, 0)):
        wanted = (pixels[:, picture].double() / 255 - MEAN[network]) / STD[network]
        assert torch.allclose(found[:, network].double(), wanted, atol=1e-5)
    assert how.rgb_mean == tuple(MEAN[::-1])


def test_keys_of_curves_change_with_the_order_of_channels_alone() -> None:
    rgb = Preprocessing(tuple(MEAN), tuple(STD), (6, 6))
    assert "channel_order" not in str(rgb)
    assert "BGR" in str(Preprocessing(tuple(MEAN), tuple(STD), (6, 6), channel_order="BGR"))


def test_headers_of_earlier_releases_are_rgb_and_others_are_refused() -> None:
    header = '{"mean": [0.5], "std": [0.5], "size": [8, 8], "interpolation": "bilinear", "channels": 1, "crop": 1'
    assert read_view(header + "}")["channel_order"] == "RGB"
    assert read_view(header + ', "channel_order": "BGR"}')["channel_order"] == "BGR"
    with pytest.raises(InvalidTeacher):
        read_view(header + ', "channel_order": "xyz"}')


# ---- within a run


def weights(folder: Path, architecture: Architecture, metadata: dict[str, str] | None = None) -> Path:
    torch.manual_seed(0)
    path = folder / "teacher.safetensors"
    save_file(build(architecture, 2, 3, 32).state_dict(), path, metadata)
    return path


def opened(folder: Path, told: TeacherPreprocessing | None, architecture: Architecture = RETORT) -> Any:
    data = archive(write_zip(folder / "data.zip", tree(per_class=20)))
    teacher = TeacherInput(
        architecture=architecture, weights=str(weights(folder, architecture)), num_classes=2, digest="",
        preprocessing=told,
    )  # fmt: skip
    config = DistillConfig(recipe="logit", device="cpu", batch_size=4)
    return get("classify_images")(RunSpec(config=config, student=RETORT, dataset=data, teacher=teacher), folder / "w")


def first(task: Any, network: Any) -> torch.Tensor:
    batch = next(iter(task.plain_loader("train", torch.arange(4), network).epoch(0)))
    found: torch.Tensor = batch.student
    return found


def test_the_teacher_sees_what_was_told_and_the_student_as_always(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = opened(tmp_path / "a", None)
    told = given(mean=MEAN, std=STD, input_size=16, interpolation="bicubic", crop_pct=0.9, channel_order="BGR")
    task = opened(tmp_path / "b", told)
    how = task.teacher.preprocessing
    assert (list(how.mean), list(how.std), how.size) == (MEAN, STD, (16, 16))
    assert (how.interpolation, how.crop, how.channel_order) == ("bicubic", 0.9, "BGR")
    assert task.student.preprocessing == plain.student.preprocessing
    assert torch.equal(first(task, task.student), first(plain, plain.student))
    assert first(task, task.teacher).shape == (4, 3, 16, 16)
    assert "BGR" in task.reasons["teacher_preprocessing"]
    assert "told at registration" in task.reasons["teacher_preprocessing"]


def test_training_shows_the_teacher_exchanged_channels(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    from distill.training.data import Order

    order = Order(4, torch.device("cpu"), shuffle=False, drop_last=False, teacher=True, augment=False)
    seen = []
    for name, channel_order in (("a", "RGB"), ("b", "BGR")):
        task = opened(tmp_path / name, given(mean=[0.5] * 3, std=[0.25] * 3, channel_order=channel_order))
        seen.append(next(iter(task.train_data().open_train(order).epoch(0))).teacher)
    assert torch.equal(seen[0].flip(1), seen[1])


@pytest.mark.parametrize(
    ("told", "warned"),
    [(None, True), (given(crop_pct=0.9), True), (given(mean=MEAN, std=STD), False)],
    ids=["nothing", "another field", "mean and std"],
)
def test_an_assumed_default_for_larger_pictures_is_a_warning(
    tmp_path: Path, told: TeacherPreprocessing | None, warned: bool
) -> None:
    """The pictures are 8 x 8, timm's default is ImageNet's for 224."""
    task = opened(tmp_path, told, TIMM)
    assert [each.code for each in task.cautions()] == (["preprocessing_assumed"] if warned else [])
    assert ("assumed" in task.reasons["teacher_preprocessing"]) is warned


def test_pictures_as_large_as_the_default_and_headers_are_no_assumption() -> None:
    view = {"mean": MEAN, "std": STD, "size": (224, 224), "origin": "default"}
    assert assumed(view, (32, 32)) is not None
    for other, native in ((view, (300, 224)), (view, None), (view | {"origin": "header"}, (32, 32))):
        assert assumed(other, native) is None


@pytest.mark.parametrize("told", [None, given(mean=MEAN, std=STD, channel_order="BGR")])
def test_the_inspection_says_how_the_teacher_will_see(tmp_path: Path, told: TeacherPreprocessing | None) -> None:
    sent = Sent(weights(tmp_path, TIMM), tmp_path, tmp_path / "zip", told)
    view = networks.examine(TIMM, sent)["preprocessing"]
    assert view["origin"] == ("default" if told is None else "registration")
    assert view["channel_order"] == ("RGB" if told is None else "BGR")
    with pytest.raises(InvalidTeacher):
        networks.examine(TIMM, Sent(sent.path, tmp_path, sent.packed, given(mean=[0.5], std=[0.5])))
