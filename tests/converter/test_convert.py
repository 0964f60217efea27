"""Honest checkpoints come out as the same tensors, whatever wrote them; refusals of the machine are not the user's."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from distill.errors import InvalidTeacher, RetortError
from distill.safetensors_header import read_header
from tests.converter.hostile import DATA
from tests.converter.pickles import Call, Name, dump, legacy_file, storage, tensor, zip_file
from worker.converter import ConverterLimits, convert
from worker.converter.__main__ import main
from worker.converter.state_dict import WRAPPERS
from worker.isolation.sandbox import SandboxUnavailable

OLD_DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
]
OLD_DTYPES += [torch.uint8, torch.bool]
NEW_DTYPES = [torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2]


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))


def convert_here(path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Without the sandbox, which other tests go through."""
    out = path.parent / "out.safetensors"
    answer = main([str(path), str(out), "{}"])
    assert "notes" in answer, answer
    assert len(read_header(out).tensors) == answer["tensors"]
    return load_file(out), list(answer["notes"])


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        wanted = value.detach().contiguous().reshape(-1).view(torch.uint8)
        assert torch.equal(found[name].reshape(-1).view(torch.uint8), wanted)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_through_the_sandbox(zipped: bool, tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    done = convert(tmp_path / "a.pt", tmp_path / "out")
    assert done.paths == (tmp_path / "out" / "model.safetensors",)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.safetensors"]
    assert_same(load_file(done.paths[0]), state)
    assert done.tensors.keys() == state.keys()
    assert done.notes == ()
    assert done.isolation.no_capabilities


@pytest.mark.parametrize("layers", [("landlock",), ("seccomp",), ()], ids=lambda layers: "+".join(layers) or "rlimits")
def test_with_less_isolation(layers: tuple[str, ...], tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "a.pt")
    done = convert(tmp_path / "a.pt", tmp_path / "out", layers=layers)
    assert [done.isolation.has(layer) for layer in ("namespaces", "seccomp")] == [False, "seccomp" in layers]


def test_a_missing_layer_is_not_the_users_fault(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "a.pt")
    with pytest.raises(SandboxUnavailable) as caught:
        convert(tmp_path / "a.pt", tmp_path / "out", layers=(), require=("seccomp",))
    assert caught.value.fault == "system"
    assert not list((tmp_path / "out").iterdir())


FORMATS = [(dtype, True) for dtype in OLD_DTYPES + NEW_DTYPES] + [(dtype, False) for dtype in OLD_DTYPES]


@pytest.mark.parametrize("dtype", NEW_DTYPES, ids=str)
def test_what_torch_itself_cannot_read_is_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2).to(dtype)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert "refused" in main([str(tmp_path / "a.pt"), str(tmp_path / "out"), "{}"])


@pytest.mark.parametrize(
    ("dtype", "zipped"), FORMATS, ids=lambda value: {True: "zip", False: "legacy"}.get(value, str(value))
)
def test_every_dtype(dtype: torch.dtype, zipped: bool, tmp_path: Path) -> None:
    state = {
        "w": torch.arange(6).reshape(2, 3).to(dtype),
        "scalar": torch.ones(()).to(dtype),
        "none": torch.ones(0, 2).to(dtype),
    }
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert_same(convert_here(tmp_path / "a.pt")[0], state)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_views_parameters_and_shared_memory(zipped: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "base": base, "transposed": base.t(), "slice": base[1:3, ::2], "tied": base, "offset": base[2:],
        "parameter": torch.nn.Parameter(torch.ones(3)), "frozen": torch.nn.Parameter(torch.ones(2), False),
    }  # fmt: skip
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found, notes = convert_here(tmp_path / "a.pt")
    assert_same(found, state)
    assert any("shared memory" in note for note in notes)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_wrapper(wrapper: str, tmp_path: Path) -> None:
    state = {"w": torch.ones(2)}
    torch.save({wrapper: state, "epoch": 3, "best": 0.5, "lr": [1e-3]}, tmp_path / "a.pt")
    found, notes = convert_here(tmp_path / "a.pt")
    assert_same(found, state)
    assert wrapper in notes[0]


def test_a_whole_training_checkpoint(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    whole = {
        "model": OrderedDict((f"module._orig_mod.{name}", value) for name, value in model.state_dict().items()),
        "optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict(), "ema": model.state_dict(), "epoch": 7,
        "device": torch.device("cpu"), "size": torch.Size([1, 2]), "counts": Counter({"a": 1}), "raw": b"\x00\xff",
        "dtype": torch.float16,
    }  # fmt: skip
    torch.save(whole, tmp_path / "a.pt")
    found, notes = convert_here(tmp_path / "a.pt")
    assert_same(found, {f"module._orig_mod.{name}": value for name, value in model.state_dict().items()})
    assert notes == ["The weights were taken from 'model' (it also holds ema)."]


def test_two_wrappers_and_entries_that_are_no_tensors(tmp_path: Path) -> None:
    torch.save({"state_dict": {"model": {"w": torch.ones(2), "step": 3, "name": "x"}}}, tmp_path / "a.pt")
    found, notes = convert_here(tmp_path / "a.pt")
    assert_same(found, {"w": torch.ones(2)})
    assert notes[-1] == "Left out, as they are no tensors: 'step', 'name'."


BESIDE = {
    "best_acc": torch.tensor(72.1),
    "rng_state": torch.zeros(16, dtype=torch.uint8),
    "class_weights": torch.ones(10),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("beside", BESIDE)
def test_a_tensor_beside_a_wrapper_is_no_state_dict(wrapper: str, beside: str, tmp_path: Path) -> None:
    torch.save({"epoch": 240, beside: BESIDE[beside], wrapper: {"w": torch.ones(2)}}, tmp_path / "a.pt")
    found, notes = convert_here(tmp_path / "a.pt")
    assert_same(found, {"w": torch.ones(2)})
    assert beside in notes[1]


def test_a_tensor_beside_an_inner_wrapper(tmp_path: Path) -> None:
    torch.save({"ema": {"decay": torch.tensor(0.9), "module": {"w": torch.ones(2)}}}, tmp_path / "a.pt")
    found, notes = convert_here(tmp_path / "a.pt")
    assert_same(found, {"w": torch.ones(2)})
    assert "decay" in notes[-1]


def test_a_wrapper_without_tensors_is_passed_over(tmp_path: Path) -> None:
    torch.save({"model": {"name": "resnet"}, "weights": {"w": torch.ones(2)}}, tmp_path / "a.pt")
    assert_same(convert_here(tmp_path / "a.pt")[0], {"w": torch.ones(2)})
    torch.save({"model": {"name": "resnet"}, "w": torch.ones(2)}, tmp_path / "a.pt")
    assert_same(convert_here(tmp_path / "a.pt")[0], {"w": torch.ones(2)})


def test_names_stay_as_they_are(tmp_path: Path) -> None:
    state = {"module.a": torch.ones(1), "b": torch.ones(2)}
    torch.save(state, tmp_path / "a.pt")
    assert_same(convert_here(tmp_path / "a.pt")[0], state)


def test_a_file_of_python_2(tmp_path: Path) -> None:
    """Text as byte strings and `_rebuild_tensor` of 2017; torch agrees."""
    old = Call(Name("torch._utils", "_rebuild_tensor"), (storage(), 0, (2, 2), (2, 1)))
    path = legacy_file(tmp_path / "a.pth", dump({"w": old}, python2=True), {"0": DATA})
    expected = torch.load(path, weights_only=True)
    assert_same(convert_here(path)[0], expected)
    assert expected["w"].tolist() == [[0, 1], [2, 3]]


def test_the_assembler_writes_what_torch_reads(tmp_path: Path) -> None:
    """The control of the corpus: without the lie, its files are good."""
    for path in (
        zip_file(tmp_path / "a.pt", dump({"w": tensor()}), {"0": DATA}),
        legacy_file(tmp_path / "b.pt", dump({"w": tensor()}), {"0": DATA}),
    ):
        assert torch.load(path, weights_only=True)["w"].tolist() == [0, 1, 2, 3]
        assert convert_here(path)[0]["w"].tolist() == [0, 1, 2, 3]


def test_unused_storages_and_unusual_roots_do_no_harm(tmp_path: Path) -> None:
    path = zip_file(tmp_path / "a.pt", dump({"w": tensor()}), {"0": DATA, "1": DATA})
    assert list(convert_here(path)[0]) == ["w"]
    torch.save({"w": torch.ones(2)}, tmp_path / "modèle v2.pt")
    assert list(convert_here(tmp_path / "modèle v2.pt")[0]) == ["w"]


def test_an_existing_output_is_replaced_only_by_success(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("before")
    (tmp_path / "bad.pt").write_bytes(b"\x80\x02.")
    with pytest.raises(InvalidTeacher):
        convert(tmp_path / "bad.pt", tmp_path)
    assert (tmp_path / "model.safetensors").read_text() == "before"
    torch.save({"w": torch.ones(2)}, tmp_path / "good.pt")
    assert list(convert(tmp_path / "good.pt", tmp_path).tensors) == ["w"]


def test_more_output_than_allowed(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1000)}, tmp_path / "a.pt")
    with pytest.raises(InvalidTeacher, match="would take 4000 bytes"):
        convert(tmp_path / "a.pt", tmp_path / "out", ConverterLimits(output_bytes=3000))


def test_a_machine_that_fails_is_not_the_users_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for the output: RLIMIT_FSIZE stands in for a full disk."""
    torch.save({"w": torch.ones(10_000)}, tmp_path / "a.pt")
    monkeypatch.setattr("worker.converter._HEADER_BYTES", -ConverterLimits().output_bytes)
    monkeypatch.setattr("worker.converter._process_limits", lambda limits, size: _tiny_files())
    with pytest.raises(RetortError) as caught:
        convert(tmp_path / "a.pt", tmp_path / "out")
    assert caught.value.fault == "system"
    assert not list((tmp_path / "out").iterdir())


def _tiny_files() -> Any:
    from worker.isolation.sandbox import Limits

    return Limits(file_bytes=4096)


def test_what_the_child_says_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that was taken over and claims success without a valid file is refused all the same."""
    from worker.isolation.plan import Isolation
    from worker.isolation.sandbox import Result

    (tmp_path / "a.pt").write_bytes(b"x")
    answers = [json.dumps({"tensors": 1, "notes": []}), "[]", "[" * 100_000, "", '{"notes": ["' + "x" * 9999 + '"]}']
    answers += ['{"refused": []}', '{"refused": {"message": 5, "details": 7}}']
    for answer in answers:
        result = Result(0, "exit", answer.encode(), b"", Isolation())
        monkeypatch.setattr("worker.converter.run_sandboxed", lambda *a, result=result, **k: result)
        with pytest.raises(InvalidTeacher):
            convert(tmp_path / "a.pt", tmp_path / "out")
        assert not list((tmp_path / "out").iterdir())


SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spec=st.dictionaries(NAMES, st.tuples(SHAPES, st.sampled_from(OLD_DTYPES), st.booleans()), min_size=1, max_size=6),
    zipped=st.booleans(),
)
def test_any_state_dict_survives(spec: dict[str, tuple], zipped: bool, tmp_path: Path) -> None:
    state = {}
    for number, (name, (shape, dtype, turned)) in enumerate(spec.items()):
        value = torch.rand(shape).mul(100).to(dtype)
        state[f"{number}{name}"] = value.permute(tuple(reversed(range(value.ndim)))) if turned else value
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert_same(convert_here(tmp_path / "a.pt")[0], state)
