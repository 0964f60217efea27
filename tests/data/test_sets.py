"""Named sets and their readers."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from distill.errors import InvalidDataset, UnknownName
from distill.modalities.images import open_dataset, sets
from distill.modalities.images.sets._cifar import read_pickle
from distill.modalities.images.sets.fashion_mnist import read_idx
from distill.types import DatasetInput


def named(name: str) -> DatasetInput:
    return DatasetInput(kind="named", name=name)


def test_names():
    assert {"digits", "fashion-mnist", "cifar10", "cifar100"} <= set(sets.names())
    with pytest.raises(UnknownName, match="digit"):
        open_dataset(named("digit"))
    assert open_dataset(named("digits")).name == "digits"


def test_digits():
    data = open_dataset(named("digits"))
    assert (len(data.train), len(data.test)) == (1438, 359)
    assert data.train.uniform_shape == (1, 8, 8)
    assert data.native_size == (8, 8)
    assert int(data.train.pixels(range(1438)).max()) == 255
    assert "20%" in data.notes[0]
    assert data.digest == open_dataset(named("digits")).digest


def test_absent_files_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("RETORT_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("cifar10", "cifar100"):
        with pytest.raises(InvalidDataset, match="not on this machine") as caught:
            open_dataset(named(name))
        assert "RETORT_DATA_DIR" in caught.value.remedy


def idx(shape: tuple[int, ...], values: bytes) -> bytes:
    return bytes((0, 0, 8, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape) + values


def fashion(folder: Path, packed: bool) -> None:
    folder.mkdir(parents=True)
    for prefix, n in (("train", 30), ("t10k", 10)):
        pixels, labels = np.arange(n * 4, dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10
        for name, data in (
            (f"{prefix}-images-idx3-ubyte", idx((n, 2, 2), pixels.tobytes())),
            (f"{prefix}-labels-idx1-ubyte", idx((n,), labels.tobytes())),
        ):
            (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(data, mtime=0) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
def test_fashion_mnist_from_torchvisions_folder(tmp_path, monkeypatch, packed):
    fashion(tmp_path / "FashionMNIST" / "raw", packed)
    monkeypatch.setenv("RETORT_DATA_DIR", str(tmp_path))
    data = open_dataset(named("fashion-mnist"))
    assert (len(data.train), len(data.test)) == (30, 10)
    assert data.classes[9] == "Ankle boot"
    assert data.train.pixels([1]).flatten().tolist() == [4, 5, 6, 7]


def test_damaged_idx(tmp_path):
    path = tmp_path / "x"
    for content in (b"", idx((3,), b"12"), idx((3,), b"1234"), b"\0\0\x09\x01" + bytes(4)):
        path.write_bytes(content)
        with pytest.raises(InvalidDataset):
            read_idx(path, 1)
    (tmp_path / "y.gz").write_bytes(b"no gzip")
    with pytest.raises(InvalidDataset):
        read_idx(tmp_path / "y", 1)


def cifar_batch(n: int, key: str) -> dict[str, object]:
    data = np.random.default_rng(n).integers(0, 256, (n, 3072)).astype(np.uint8)
    return {"data": data, key: [i % 10 for i in range(n)]}


@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar10(tmp_path, monkeypatch, protocol):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(pickle.dumps(cifar_batch(10 + i, "labels"), protocol))
    monkeypatch.setenv("RETORT_DATA_DIR", str(tmp_path))
    data = open_dataset(named("cifar10"))
    assert (len(data.train), len(data.test)) == (60, 15)
    first = torch_rows(cifar_batch(10, "labels")["data"])[0]
    np.testing.assert_array_equal(data.train.pixels([0])[0].numpy(), first)


def torch_rows(data: object) -> np.ndarray:
    return np.asarray(data).reshape(-1, 3, 32, 32)


def test_cifar100(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps(cifar_batch(20, "fine_labels")))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"c{i}" for i in range(10)]}))
    monkeypatch.setenv("RETORT_DATA_DIR", str(tmp_path))
    assert open_dataset(named("cifar100")).classes[3] == "c3"


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_hostile_pickle_runs_nothing(tmp_path, capsys):
    for content in (pickle.dumps({"data": Evil()}), pickle.dumps([1]), b"garbage", b""):
        (tmp_path / "batch").write_bytes(content)
        with pytest.raises(InvalidDataset):
            read_pickle(tmp_path / "batch")
    assert "code ran" not in capsys.readouterr().out
