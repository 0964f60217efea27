"""Hugging-Face-style image parquet."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.limits import Limits
from distill.errors import InvalidDataset
from distill.modalities.images import inspect, open_dataset
from distill.modalities.images.kinds import parquet
from distill.modalities.images.kinds._rows import ImageRows
from distill.modalities.images.pack import Pack
from distill.modalities.text import recognised
from distill.types import DatasetInput
from tests.data.files import image_bytes, write_parquet

IMAGES = [image_bytes(i) for i in range(10)]
LABELS = [0, 1] * 5


def dataset(**files: Path) -> DatasetInput:
    return DatasetInput(kind="parquet", name="p", files={role: str(path) for role, path in files.items()})


@pytest.mark.parametrize("column", ["image", "img"])
@pytest.mark.parametrize("plain", [False, True])
def test_one_file(tmp_path, column, plain):
    path = write_parquet(tmp_path / "a.parquet", IMAGES, LABELS, ["cat", "dog"], column, plain)
    data = open_dataset(dataset(all=path))
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.test)) == (8, 2)
    assert data.train.uniform_shape == (3, 8, 8)


def test_train_and_test(tmp_path):
    train = write_parquet(tmp_path / "a.parquet", IMAGES, LABELS, ["cat", "dog"])
    test = write_parquet(tmp_path / "b.parquet", IMAGES[:4], LABELS[:4], ["cat", "dog"])
    data = open_dataset(dataset(train=train, test=test))
    assert data.test.labels.tolist() == [0, 1, 0, 1]
    assert not data.notes
    assert inspect(dataset(train=train, test=test)).duplicates_between_splits == 4


def test_names_without_metadata(tmp_path):
    assert open_dataset(dataset(all=write_parquet(tmp_path / "a", IMAGES, LABELS))).classes == ("0", "1")
    words = ["dog" if label else "ant" for label in LABELS]
    data = open_dataset(dataset(all=write_parquet(tmp_path / "b", IMAGES, words)))
    assert data.classes == ("ant", "dog")
    assert sorted(data.train.labels.tolist()) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_shards(tmp_path):
    for i in range(2):
        write_parquet(tmp_path / f"train-{i}.parquet", IMAGES, LABELS, ["cat", "dog"])
    assert len(open_dataset(dataset(train=tmp_path)).train) == 16


def test_numbers_mean_what_their_own_file_says(tmp_path):
    train, test = tmp_path / "train", tmp_path / "test"
    train.mkdir()
    write_parquet(train / "0.parquet", IMAGES, [0, 0, 0, 1] + [1] * 6, ["cat", "dog"])
    write_parquet(train / "1.parquet", IMAGES[:3], [0, 0, 1], ["dog", "cat"])
    write_parquet(test, IMAGES[:4], [0, 0, 0, 1], ["dog", "cat"])
    data = open_dataset(dataset(train=train, test=test))
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 0, 0, 1] + [1] * 6 + [1, 1, 0]
    assert data.test.labels.tolist() == [1, 1, 1, 0]
    write_parquet(test, IMAGES[:2], [0, 1], ["dog", "cow"])
    with pytest.raises(InvalidDataset, match="training split lacks"):
        open_dataset(dataset(train=train, test=test))
    write_parquet(test, IMAGES[:2], [0, 2], ["dog", "cat"])
    with pytest.raises(InvalidDataset, match="label 2 of test row 1 is none of its 2 class names"):
        open_dataset(dataset(train=train, test=test))


def test_labels_that_are_numbers_as_text_are_in_their_order(tmp_path):
    words = ["10", "2", "9", "2", "10", "9", "2", "10", "9", "2"]
    assert open_dataset(dataset(all=write_parquet(tmp_path / "a", IMAGES, words))).classes == ("2", "9", "10")


def refused(path: Path, word: str, limits: Limits | None = None) -> None:
    with pytest.raises(InvalidDataset, match=word) as caught:
        open_dataset(dataset(all=path), limits or Limits())
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["b" * 256, "b\0", "b\ud800"])
def test_names_that_no_class_can_have(tmp_path, name):
    refused(write_parquet(tmp_path / "a.parquet", IMAGES, [0, 1] * 5, ["a", name]), "a class that its metadata name")
    if name.isprintable():
        refused(
            write_parquet(tmp_path / "a.parquet", IMAGES, ["a", name] * 5), "the class of row 1 of a.parquet has 256"
        )


def test_bad_content(tmp_path):
    path = tmp_path / "a.parquet"
    refused(write_parquet(path, [*IMAGES[:9], None], LABELS, ["a", "b"]), "row 9 of a.parquet has no image")
    refused(write_parquet(path, IMAGES, [*LABELS[:9], 2], ["a", "b"]), "row 9 is none of its 2 class names")
    refused(write_parquet(path, IMAGES, [*LABELS[:9], -2], ["a", "b"]), "row 9 is none of its 2 class names")
    refused(write_parquet(path, IMAGES, [0] * 10, ["a"]), "fewer than 2")
    refused(write_parquet(path, IMAGES, [[0]] * 10), "neither integer nor text; several classes a row")
    refused(write_parquet(path, [*IMAGES[:9], b"broken"], LABELS, ["a", "b"]), "row 9")
    refused(write_parquet(path, [], [], ["a", "b"]), "label|no rows")


def test_wrong_types(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": ["x"] * 4, "label": [0, 1, 0, 1]}), path)
    refused(path, "no encoded bytes")
    pq.write_table(pa.table({"image": [{"path": "x"}] * 4, "label": [0, 1, 0, 1]}), path)
    refused(path, "no encoded bytes")
    pq.write_table(pa.table({"image": IMAGES[:4], "kind": ["a"] * 4}), path)
    refused(path, "no column 'label'")


def test_caps(tmp_path):
    path = write_parquet(tmp_path / "a", IMAGES, LABELS, ["a", "b"])
    refused(path, "rows, more than", Limits(members=5))
    refused(path, "row group", Limits(row_group_bytes=100))
    refused(path, "more than 100", Limits(total_bytes=100))
    refused(path, "row 0 has", Limits(file_bytes=10))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_files_raise_nothing_else(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "a.parquet"
    write_parquet(path, IMAGES[:4], LABELS[:4], ["a", "b"])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(InvalidDataset):
        open_dataset(dataset(all=path), Limits(corrupt_fraction=1.0))


def test_an_image_that_dictionary_encoding_repeats(tmp_path):
    """40 MiB of images in a file of some KiB."""
    path = write_parquet(tmp_path / "a", [image_bytes(1, (32, 32))] * 14_000, LABELS * 1400, ["a", "b"])
    assert path.stat().st_size < 100_000
    refused(path, "more than 200 times its size")


def test_telling_images_from_texts_reads_no_image(tmp_path):
    """1,000 rows of one image of 100 KB: as a batch of rows they are 100 MB, and of real photographs gigabytes."""
    path = write_parquet(tmp_path / "a", [bytes(100_000)] * 1000, [0, 1] * 500)
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(pool)
    try:
        assert recognised(dataset(all=path)).kind == "parquet"
    finally:
        pa.set_memory_pool(before)
    assert pool.max_memory() < 10_000_000


def test_a_full_disk_is_not_the_files_fault(tmp_path):
    path = write_parquet(tmp_path / "a", [bytes(100_000)] * 4, [0, 1] * 2)
    with Pack(tmp_path, memory_bytes=0) as pack, Path("/dev/full").open("wb", buffering=0) as full:
        pack._file = full
        with pytest.raises(OSError, match="No space left"):
            parquet._shard(path, None, ImageRows("all"), pack, Limits())


STRUCT = pa.array([{"bytes": data, "path": None} for data in IMAGES])
WORDS = [("cat", "dog")[i % 2] for i in range(10)]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array([1 + i % 3 for i in range(10)], pa.uint8()), ("1", "2", "3")),
        (pa.array([(5, 17, 200)[i % 3] for i in range(10)]), ("5", "17", "200")),
        (pa.array(WORDS).dictionary_encode(), ("cat", "dog")),
        (pa.array([3, 7] * 5).dictionary_encode(), ("3", "7")),
        (pa.array(WORDS, pa.large_string()), ("cat", "dog")),
        (pa.array(WORDS, pa.string_view()), ("cat", "dog")),
        (pa.array([True, False] * 5), ("False", "True")),
        (pa.array([0.0, 1.0] * 5), ("0", "1")),
        (pa.array([Decimal(0), Decimal(1)] * 5, pa.decimal128(5, 2)), ("0", "1")),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
@pytest.mark.parametrize("name", ["label", "Label", "category", "target"])
def test_labels_of_other_writers(tmp_path, name, labels, classes):
    pq.write_table(pa.table({"image": STRUCT, name: labels}), tmp_path / "a")
    assert open_dataset(dataset(all=tmp_path / "a")).classes == classes


@pytest.mark.parametrize(
    "images",
    [
        pa.array(IMAGES, pa.binary_view()),
        pa.array(IMAGES, pa.large_binary()),
        pa.array([{"bytes": data} for data in IMAGES]),
        pa.array([{"path": "x.png", "bytes": data, "extra": 1} for data in IMAGES]),
        pa.array(IMAGES).dictionary_encode(),
    ],
    ids=lambda value: str(value.type),
)
@pytest.mark.parametrize("name", ["image", "img", "Image", "picture"])
def test_images_of_other_writers(tmp_path, name, images):
    if pa.types.is_dictionary(images.type):
        images = images.cast(pa.binary())
    pq.write_table(pa.table({name: images, "label": WORDS}), tmp_path / "a")
    data = open_dataset(dataset(all=tmp_path / "a"))
    assert len(data.train) + len(data.test) == 10


def test_class_names_without_rows_are_left_out_by_name(tmp_path):
    path = write_parquet(tmp_path / "a", IMAGES, [3, 1] * 5, ["a", "b", "c", "d", "e"])
    data = open_dataset(dataset(all=path))
    assert data.classes == ("b", "d")
    assert "3 of 5 class names have no training rows and were left out: a, c, e." in data.notes


@pytest.mark.parametrize(
    ("images", "word", "remedy"),
    [
        ([{"bytes": None, "path": "/data/0.png"}] * 10, "holds paths of images, no encoded bytes", "zip"),
        ([{"bytes": b"x"}] * 7 + [{"path": "/data/7.png"}] * 3, "row 7 of a has only the path '/data/7.png'", "zip"),
        ([{"bytes": b"x"}] * 7 + [None] * 3, "row 7 of a has no image", "Remove the rows"),
        ([{"path": "x.png"}] * 10, "no encoded bytes", "embed_table_storage"),
        (["aGVsbG8="] * 10, "no encoded bytes", "b64decode"),
        ([[1, 2]] * 10, "no encoded bytes", "`image`"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_images_of_this_file(tmp_path, images, word, remedy):
    pq.write_table(pa.table({"image": images, "label": WORDS}), tmp_path / "a")
    with pytest.raises(InvalidDataset, match=word) as caught:
        open_dataset(dataset(all=tmp_path / "a"))
    assert remedy in caught.value.remedy


def test_shards_whose_names_say_splits(tmp_path):
    for split, count in (("train", 8), ("test", 4)):
        for shard in range(2):
            write_parquet(tmp_path / f"{split}-0000{shard}-of-00002.parquet", IMAGES[:count], LABELS[:count])
    data = open_dataset(dataset(all=tmp_path))
    assert (len(data.train), len(data.test)) == (16, 8)
