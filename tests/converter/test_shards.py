"""Sharded safetensors: merged exactly, from every container, with flat memory; refused when anything disagrees."""

from __future__ import annotations

import io
import json
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from distill.errors import InvalidTeacher
from worker.converter import ConverterLimits, convert
from worker.converter.limits import DEFAULT_LIMITS
from worker.converter.shards import convert_shards

Tensors = dict[str, np.ndarray]
INDEX = "model.safetensors.index.json"


def parts() -> list[Tensors]:
    random = np.random.default_rng(0)
    return [
        {"b.odd": np.arange(3, dtype=np.uint8), "b.f16": random.random((2, 3)).astype(np.float16)},
        {"a.w": random.random((4, 5)).astype(np.float32), "a.b": random.random(5)},
        {"c": np.array(7, dtype=np.int64), "empty": np.zeros((0, 3), np.float32)},
    ]


def shard_name(number: int, count: int) -> str:
    return f"model-{number + 1:05}-of-{count:05}.safetensors"


def write_folder(folder: Path, shards: list[Tensors], change: Callable[[dict[str, Any]], object] | None = None) -> Path:
    folder.mkdir()
    names = [shard_name(number, len(shards)) for number in range(len(shards))]
    for name, tensors in zip(names, shards, strict=True):
        save_file(tensors, folder / name)
    total = sum(value.nbytes for tensors in shards for value in tensors.values())
    weight_map = {key: name for name, tensors in zip(names, shards, strict=True) for key in tensors}
    index: dict[str, Any] = {"metadata": {"total_size": total}, "weight_map": weight_map}
    if change:
        change(index)
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def as_zip(folder: Path, method: int = zipfile.ZIP_STORED, prefix: str = "") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)
    return path


def as_tar(folder: Path, mode: str = "w", prefix: str = "") -> Path:
    path = folder.with_suffix(".tar")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, prefix or ".", recursive=True)
    return path


CONTAINERS: dict[str, Callable[[Path], Path]] = {
    "folder": lambda folder: folder,
    "zip": as_zip,
    "zip_deflated": lambda folder: as_zip(folder, zipfile.ZIP_DEFLATED),
    "zip_in_a_folder": lambda folder: as_zip(folder, prefix="bert/"),
    "tar": as_tar,
    "tar_gz": lambda folder: as_tar(folder, "w:gz"),
    "tar_in_a_folder": lambda folder: as_tar(folder, prefix="bert"),
}


def merged(path: Path, limits: ConverterLimits = DEFAULT_LIMITS) -> tuple[Tensors, tuple[str, ...]]:
    out = path.parent / "out.safetensors"
    count, notes = convert_shards(path, out, limits)
    found = load_file(out)
    assert len(found) == count
    return found, notes


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container(container: str, tmp_path: Path) -> None:
    path = CONTAINERS[container](write_folder(tmp_path / "shards", parts()))
    found, notes = merged(path)
    assert_same(found, {name: value for tensors in parts() for name, value in tensors.items()})
    assert notes == ()


@pytest.mark.parametrize("container", ["folder", "zip", "tar_gz"])
def test_through_the_sandbox(container: str, tmp_path: Path) -> None:
    path = CONTAINERS[container](write_folder(tmp_path / "shards", parts()))
    done = convert(path, tmp_path / "out")
    assert_same(load_file(done.paths[0]), {name: value for tensors in parts() for name, value in tensors.items()})
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.safetensors"]


def test_a_single_file_is_checked_and_copied(tmp_path: Path) -> None:
    save_file(parts()[1], tmp_path / "a.safetensors")
    assert_same(load_file(convert(tmp_path / "a.safetensors", tmp_path / "out").paths[0]), parts()[1])


def test_one_shard_in_a_zip_needs_no_index(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "shards", parts()[:1])
    (folder / INDEX).unlink()
    assert_same(merged(as_zip(folder))[0], parts()[0])


def test_other_files_are_left_out_and_noted(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "shards", parts())
    for name in ("config.json", ".DS_Store", "._model.safetensors"):
        (folder / name).write_text("{}")
    found, notes = merged(as_zip(folder))
    assert len(found) == 6
    assert notes == ("Left out: 'config.json'.",)


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda index: index["weight_map"].pop(key)


BAD_INDICES: dict[str, Callable[[dict[str, Any]], object]] = {
    "tensor_missing": lambda index: index["weight_map"].update({"ghost": shard_name(0, 3)}),
    "tensor_unlisted": _without("a.w"),
    "tensor_in_another_shard": lambda index: index["weight_map"].update({"a.w": shard_name(0, 3)}),
    "shard_missing": lambda index: index["weight_map"].update({"a.w": "model-9.safetensors"}),
    "shard_outside": lambda index: index["weight_map"].update({"a.w": "../" + shard_name(1, 3)}),
    "shard_absolute": lambda index: index["weight_map"].update({"a.w": "/etc/passwd.safetensors"}),
    "shard_hidden": lambda index: index["weight_map"].update({"a.w": "..safetensors"}),
    "shard_on_another_drive": lambda index: index["weight_map"].update({"a.w": "C:a.safetensors"}),
    "shard_not_text": lambda index: index["weight_map"].update({"a.w": 5}),
    "size_differs": lambda index: index["metadata"].update(total_size=1),
    "no_weight_map": lambda index: index.pop("weight_map"),
    "weight_map_empty": lambda index: index.update(weight_map={}),
    "weight_map_a_list": lambda index: index.update(weight_map=["a"]),
    "metadata_a_list": lambda index: index.update(metadata=[1]),
}


@pytest.mark.parametrize("name", BAD_INDICES)
def test_bad_indices(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTeacher) as caught:
        merged(write_folder(tmp_path / "shards", parts(), BAD_INDICES[name]))
    assert INDEX in caught.value.remedy


BAD_TEXTS = {
    "not_json": "{",
    "not_utf_8": b"\xff\xfe",
    "nested": '{"weight_map":' * 100_000,
    "lists": "[" * 100_000,
    "twice": '{"weight_map": {"a": "a.safetensors", "a": "b.safetensors"}}',
    "nan": '{"weight_map": NaN}',
    "huge_number": '{"metadata": {"total_size": ' + "9" * 100_000 + "}}",
    "a_number": "5",
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_bad_index_texts(name: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "shards", parts())
    text = BAD_TEXTS[name]
    (folder / INDEX).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidTeacher):
        merged(folder)


def _tensor_twice(folder: Path) -> None:
    save_file(parts()[1], folder / shard_name(0, 3))


def _truncated(folder: Path) -> None:
    path = folder / shard_name(1, 3)
    path.write_bytes(path.read_bytes()[:-1])


def _followed(folder: Path) -> None:
    path = folder / shard_name(1, 3)
    path.write_bytes(path.read_bytes() + b"x")


def _two_indices(folder: Path) -> None:
    (folder / "other.safetensors.index.json").write_text("{}")


def _link(folder: Path) -> None:
    (folder / shard_name(1, 3)).unlink()
    (folder / shard_name(1, 3)).symlink_to("/etc/passwd")


BAD_FOLDERS: dict[str, Callable[[Path], object]] = {
    "tensor_twice": _tensor_twice,
    "shard_truncated": _truncated,
    "shard_followed": _followed,
    "two_indices": _two_indices,
    "shard_is_a_link": _link,
    "shard_gone": lambda folder: (folder / shard_name(1, 3)).unlink(),
    "no_index": lambda folder: (folder / INDEX).unlink(),
    "nothing": lambda folder: [file.unlink() for file in list(folder.iterdir())],
    "shard_empty": lambda folder: (folder / shard_name(1, 3)).write_bytes(b""),
}


@pytest.mark.parametrize("name", BAD_FOLDERS)
@pytest.mark.parametrize("container", ["folder", "tar"])
def test_bad_folders(name: str, container: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "shards", parts())
    BAD_FOLDERS[name](folder)
    with pytest.raises(InvalidTeacher) as caught:
        merged(CONTAINERS[container](folder))
    assert caught.value.remedy


def _tar_of(folder: Path, *infos: tarfile.TarInfo, data: bytes = b"") -> Path:
    path = folder / "a.tar"
    with tarfile.open(path, "w") as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return path


def _info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


BAD_MEMBERS = {
    "dots": _info("../a.safetensors"),
    "absolute": _info("/tmp/a.safetensors"),
    "symlink": _info("a.safetensors", tarfile.SYMTYPE, "/etc/passwd"),
    "hardlink": _info("a.safetensors", tarfile.LNKTYPE, "b"),
    "device": _info("a.safetensors", tarfile.CHRTYPE),
    "pipe": _info("a.safetensors", tarfile.FIFOTYPE),
    "unprintable": _info("a\n.safetensors"),
}


@pytest.mark.parametrize("name", BAD_MEMBERS)
def test_bad_tar_members(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidTeacher, match=r"link|name"):
        merged(_tar_of(tmp_path, BAD_MEMBERS[name]))


def test_a_tar_with_a_name_twice_too_many_members_or_too_much(tmp_path: Path) -> None:
    with pytest.raises(InvalidTeacher, match="twice"):
        merged(_tar_of(tmp_path, _info("a"), _info("a")))
    with pytest.raises(InvalidTeacher, match="too many"):
        merged(_tar_of(tmp_path, *(_info(str(i)) for i in range(20))), ConverterLimits(members=10))
    folder = tmp_path / "bomb"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(bytes(2**24))
    with pytest.raises(InvalidTeacher, match="unpacks to too much"):
        merged(as_tar(folder, "w:gz"))


@pytest.mark.parametrize("container", ["zip", "zip_deflated", "tar", "tar_gz"])
def test_every_truncation_is_refused(container: str, tmp_path: Path) -> None:
    path = CONTAINERS[container](write_folder(tmp_path / "shards", parts()))
    whole = path.read_bytes()
    # A tar ends in up to 20 blocks of zeros that carry nothing; gzip's own end is checked only by reading on.
    for length in np.linspace(1, len(whole) * (0.4 if "tar" in container else 1) - 1, 60).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidTeacher):
            merged(path)


def test_memory_stays_flat(tmp_path: Path) -> None:
    """64 MB of tensors through 1 MiB pieces."""
    shards: list[Tensors] = [{f"w{i}": np.full(2**22, i, np.float32)} for i in range(4)]
    folder = write_folder(tmp_path / "shards", shards)
    tracemalloc.start()
    convert_shards(folder, tmp_path / "out", DEFAULT_LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
    assert (tmp_path / "out").stat().st_size > 2**26
