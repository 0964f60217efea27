"""Which device a slot gets: by UUID, by instance, by the operator's own mask."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.processes import gpus
from worker.processes.gpus import listed, masked, of_slot, visible
from worker.processes.slot import Slot

ONE = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77"
TWO = "GPU-6b1b2c3d-0000-1111-2222-333344445555"
MIG = ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb")
#: As printed by nvidia-smi -L (NVIDIA's MIG user guide has the second form).
WHOLE = f"GPU 0: NVIDIA H100 80GB HBM3 (UUID: {ONE})\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: {TWO})\n"
DIVIDED = (
    f"GPU 0: A100-SXM4-40GB (UUID: {ONE})\n"
    f"  MIG 3g.20gb     Device  0: (UUID: {MIG[0]})\n"
    f"  MIG 3g.20gb     Device  1: (UUID: {MIG[1]})\n"
    f"GPU 1: A100-SXM4-40GB (UUID: {TWO})\n"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", []), (WHOLE, [ONE, TWO]), (DIVIDED, [*MIG, TWO]), ("NVIDIA-SMI has failed because it couldn't\n", [])],
)
def test_the_listing(text: str, found: list[str]) -> None:
    assert listed(text) == found


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ("", []),
        ("0", ["0"]),
        ("2,0", ["2", "0"]),
        (" 1 , 3 ", ["1", "3"]),
        ("0,-1,1", ["0"]),
        ("-1", []),
        ("NoDevFiles", ["NoDevFiles"]),
        (ONE, [ONE]),
        ("GPU-5d5b,GPU-6b1b", ["GPU-5d5b", "GPU-6b1b"]),
        (",".join(MIG), list(MIG)),
        ("1,,2", ["1"]),
        ("1,1", ["1"]),
    ],
)
def test_a_mask_is_kept_as_it_stands(mask: str, found: list[str]) -> None:
    assert masked(mask) == found
    assert visible({"CUDA_VISIBLE_DEVICES": mask}, lambda: WHOLE) == found


def test_without_a_mask_devices_are_named_by_uuid(tmp_path: Path) -> None:
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:02:00.0").mkdir()
    assert visible({}, lambda: WHOLE, tmp_path) == [ONE, TWO]
    assert visible({}, lambda: DIVIDED, tmp_path) == [*MIG, TWO]
    assert visible({}, lambda: "", tmp_path) == ["0", "1"]  # a driver without nvidia-smi
    assert visible({}, lambda: WHOLE, tmp_path / "none") == []


@given(st.integers(0, 63), st.lists(st.text("0123456789", min_size=1, max_size=3), unique=True, max_size=8))
def test_a_slot_has_one_device_and_slots_share_evenly(slot: int, devices: list[str]) -> None:
    assert of_slot(slot, devices) == ((devices[slot % len(devices)],) if devices else ())
    used = [device for n in range(2 * len(devices)) for device in of_slot(n, devices)]
    assert sorted(used) == sorted(devices * 2)


@given(st.integers(1, 8), st.integers(1, 8))
def test_slots_of_several_devices_share_none_while_there_are_enough(slots: int, number: int) -> None:
    devices = [str(each) for each in range(slots * number)]
    assert [device for slot in range(slots) for device in of_slot(slot, devices, number)] == devices


def test_the_trainers_environment_has_the_slots_own_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.worker.support import settings_for

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{ONE},{TWO}")
    settings = settings_for(tmp_path, slots=3)
    given = [Slot.of(settings, slot).environment()["CUDA_VISIBLE_DEVICES"] for slot in range(3)]
    assert given == [ONE, TWO, ONE]
    assert gpus.visible() == [ONE, TWO]


@pytest.mark.parametrize(("driver", "there", "made"), [(True, False, True), (True, True, False), (False, False, False)])
def test_device_files_are_made_before_a_trainer_needs_them(
    tmp_path: Path, driver: bool, there: bool, made: bool
) -> None:
    device, mark = tmp_path / "nvidia-uvm", tmp_path / "called"
    if there:
        device.touch()
    gpus.make_devices(tmp_path if driver else tmp_path / "none", device, ("touch", str(mark)))
    assert mark.exists() == made
    gpus.make_devices(tmp_path, device, (str(tmp_path / "no such program"),))  # without the tool nothing happens
