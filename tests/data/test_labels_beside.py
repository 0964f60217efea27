"""Archives as WebDataset writes a shard: the class of an image in a file `.cls` beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from distill.data.limits import DEFAULT
from distill.errors import InvalidDataset
from distill.modalities.images import inspect, open_dataset
from distill.modalities.images.shards.webdataset import read_tar
from distill.types import DatasetInput
from tests.data.files import archive, image_bytes, write_tar, write_zip
from tests.data.shard_files import sample

FORMATS = {"tar": write_tar, "tar.gz": lambda path, files: write_tar(path, files, "w:gz"), "zip": write_zip}


def shard(first: int, last: int, folder: str = "") -> dict[str, bytes]:
    return {f"{folder}{name}": data for n in range(first, last) for name, data in sample(n).items()}


@pytest.mark.parametrize("form", FORMATS)
def test_a_shard_that_was_sent_has_the_classes_of_its_cls_files(tmp_path: Path, form: str) -> None:
    files = shard(0, 30, "a/") | {"a/00003.seg.png": image_bytes(3), "a/00003.json": b'{"width": 24}'}
    data = open_dataset(archive(FORMATS[form](tmp_path / "s.bin", files)))
    assert data.classes == ("0", "1", "2")
    assert Counter([*data.train.labels.tolist(), *data.test.labels.tolist()]) == {0: 10, 1: 10, 2: 10}
    images = data.train._store.split.images
    for i, label in enumerate(data.train._store.split.labels.tolist()):
        number = int(Path(images.name(i)).stem)
        assert (images.content(i), label) == (sample(number)[f"{number:05}.jpg"], number % 3)


def test_what_has_no_cls_file_trains_without_a_label(tmp_path: Path) -> None:
    files = {name: data for name, data in shard(0, 30).items() if name not in ("00004.cls", "00005.cls")}
    data = open_dataset(archive(write_tar(tmp_path / "s.tar", files)))
    assert int((data.train.labels == -1).sum()) == 2
    assert int((data.test.labels == -1).sum()) == 0


def test_train_and_test_parts_number_the_classes_alike(tmp_path: Path) -> None:
    parts = {"train": shard(0, 30), "test": shard(31, 35)}
    files = {role: str(write_tar(tmp_path / f"{role}.tar", held)) for role, held in parts.items()}
    data = open_dataset(DatasetInput(kind="archive", name="s", files=files))
    assert Counter(data.test.labels.tolist()) == {0: 1, 1: 2, 2: 1}
    assert (len(data.train), len(data.test)) == (30, 4)


def test_tars_one_behind_the_other_are_read_to_their_end(tmp_path: Path) -> None:
    parts = [write_tar(tmp_path / "s.tar", shard(n * 9, n * 9 + 9)).read_bytes() for n in range(3)]
    (tmp_path / "a.tar").write_bytes(b"".join(parts) + b"what is no tar is no member")
    report = inspect(archive(tmp_path / "a.tar"))
    assert (report.classes, sum(map(sum, report.counts.values()))) == (("0", "1", "2"), 27)
    assert len(list(read_tar(tmp_path / "a.tar", "a.tar", DEFAULT))) == 27


def test_shards_within_an_archive_are_named(tmp_path: Path) -> None:
    """What a folder of shards is packed to."""
    tars = {f"{n}.tar": write_tar(tmp_path / "s.tar", shard(n * 9, n * 9 + 9)).read_bytes() for n in range(3)}
    with pytest.raises(InvalidDataset) as caught:
        inspect(archive(write_zip(tmp_path / "a.zip", tars)))
    assert caught.value.details == {"tars": ["0.tar", "1.tar", "2.tar"]}
    assert caught.value.remedy


@pytest.mark.parametrize("held", [b"\xff\xfe", b"1" * 2**20])
def test_a_cls_file_without_text_is_named(tmp_path: Path, held: bytes) -> None:
    files: Mapping[str, bytes] = shard(0, 9) | {"00007.cls": held}
    with pytest.raises(InvalidDataset) as caught:
        inspect(archive(write_tar(tmp_path / "s.tar", files)))
    assert caught.value.details["member"] == "00007.cls"
    assert caught.value.remedy
