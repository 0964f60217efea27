"""Hostile checkpoints neither run code nor crash, hang or leave anything: each ends in `InvalidTeacher`."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from distill.errors import InvalidTeacher
from tests.converter.hostile import CORPUS, DATA, PICKLES
from tests.converter.pickles import dump, tensor, zip_file
from tests.slowness import within
from worker.converter import ConverterLimits, convert
from worker.converter.__main__ import main

RUNS_CODE = ["os_system", "eval", "exec", "subprocess", "nested_reduce", "instance_opcode", "object_opcode"]


@pytest.mark.parametrize("name", RUNS_CODE)
def test_the_corpus_is_hostile(name: str, tmp_path: Path) -> None:
    """The control: Python's own unpickler does make the canary."""
    canary = tmp_path / "canary"
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    subprocess.run([sys.executable, "-c", code], input=PICKLES[name](canary), check=False, timeout=within(60))
    assert canary.exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", CORPUS)
def test_hostile_checkpoints_are_refused(name: str, tmp_path: Path) -> None:
    """In this process, without the sandbox: the scan alone must hold, and torch is never asked."""
    canary, out = tmp_path / "canary", tmp_path / "out"
    path = CORPUS[name](tmp_path, canary)
    if name == "is_missing" or not path.is_file() or path.is_symlink():
        pytest.skip("refused before the child")
    out.touch()
    began = time.process_time()
    answer = main([str(path), str(out), json.dumps({"output_bytes": 2**24})])
    assert answer["refused"]["code"] == "invalid_teacher"
    assert answer["refused"]["remedy"]
    assert out.stat().st_size == 0
    assert not canary.exists()
    assert time.process_time() - began < 20


SANDBOXED = [
    *("zip_os_system", "legacy_eval", "zip_laughs_as_key", "zip_stride_zero_of_a_billion", "is_a_link"),
    *("zip_storage_claims_more", "legacy_marks_without_end", "members_overlap", "deflated_bomb", "is_a_pipe"),
    *("name_with_dots", "noise", "empty", "is_missing", "zip_tuples_deeper_than_the_stack"),
]


@pytest.mark.parametrize("name", SANDBOXED)
def test_refused_through_the_sandbox(name: str, tmp_path: Path) -> None:
    canary, out = tmp_path / "canary", tmp_path / "out"
    path = CORPUS[name](tmp_path, canary)
    with pytest.raises(InvalidTeacher) as caught:
        convert(path, out)
    assert caught.value.remedy
    assert not canary.exists()
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", CORPUS)
def test_all_refused_through_the_sandbox(name: str, tmp_path: Path) -> None:
    test_refused_through_the_sandbox(name, tmp_path)


def _long(folder: Path) -> Path:
    """A pickle that is allowed and takes seconds to scan, and a GiB to hold."""
    body = b"](" + b"]" * 4_900_000 + b"e"
    return zip_file(folder / "long.pt", b"\x80\x02" + body + b".")


@pytest.mark.parametrize(
    ("limits", "ending"),
    [
        (ConverterLimits(cpu_seconds=1), "cpu"),
        (ConverterLimits(memory_bytes=80 * 2**20), None),
    ],
    ids=["cpu", "memory"],
)
def test_a_child_beyond_its_limits(limits: ConverterLimits, ending: str | None, tmp_path: Path) -> None:
    with pytest.raises(InvalidTeacher, match="too long" if ending else "too much memory") as caught:
        convert(_long(tmp_path), tmp_path / "out", limits)
    assert caught.value.details.get("ending") == ending
    assert not list((tmp_path / "out").iterdir())


def kill_at_work() -> bool:
    """Kill the converter once it has used a second: it is at the pickle then."""
    for child in psutil.Process().children():
        family = [child, *child.children(recursive=True)]
        busy = sum(sum(member.cpu_times()[:2]) for member in family) > 1
        if busy and "worker.isolation.launch" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
            return True
    return False


def test_a_child_that_is_killed(tmp_path: Path) -> None:
    def kill_child() -> None:
        end = time.monotonic() + within(60)
        while time.monotonic() < end:
            with suppress(psutil.NoSuchProcess):
                if kill_at_work():
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill_child)
    killer.start()
    with pytest.raises(InvalidTeacher, match="signal 9"):
        convert(_long(tmp_path), tmp_path / "out")
    killer.join()
    assert not list((tmp_path / "out").iterdir())


def test_too_many_operations_bytes_and_memo_entries(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = zip_file(tmp_path / "a.pt", dump({f"w{i}": tensor() for i in range(50)}), {"0": DATA})
    for field, value in {"operations": 100, "pickle_bytes": 500, "tensors": 10, "members": 2, "depth": 1}.items():
        assert "refused" in main([str(path), str(out), json.dumps({field: value})]), field
    memo = b"\x80\x02" + b"".join(b"Nr" + i.to_bytes(4, "little") + b"0" for i in range(20)) + b"N."
    assert "refused" in main([str(zip_file(tmp_path / "m.pt", memo)), str(out), json.dumps({"memo": 10})])


def test_an_input_beyond_its_cap(tmp_path: Path) -> None:
    path = zip_file(tmp_path / "a.pt", dump({"w": tensor()}), {"0": DATA})
    with pytest.raises(InvalidTeacher, match="up to 10"):
        convert(path, tmp_path / "out", ConverterLimits(input_bytes=10))


def test_every_single_byte_changed(tmp_path: Path) -> None:
    """No change of one byte of a good file does anything but convert or refuse."""
    path, out = zip_file(tmp_path / "a.pt", dump({"w": tensor()}), {"0": DATA}), tmp_path / "out"
    good = path.read_bytes()
    for position in range(len(good)):
        for change in (1 << position % 8, 0xFF):
            path.write_bytes(good[:position] + bytes([good[position] ^ change]) + good[position + 1 :])
            answer = main([str(path), str(out), "{}"])
            assert set(answer) in ({"refused"}, {"tensors", "notes"}), (position, change, answer)


def test_pickles_of_python_itself_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps({"w": [1, 2, 3]}, 2))
    assert "not one that torch.save wrote" in main([str(path), str(tmp_path / "out"), "{}"])["refused"]["message"]
