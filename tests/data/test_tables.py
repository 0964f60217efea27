"""CSV and JSON Lines with images in base64, and archives whose table names images and classes."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.limits import Limits
from distill.errors import InvalidDataset
from distill.modalities.images import inspect, open_dataset
from distill.modalities.text import inspect_text, recognised
from distill.types import DatasetInput
from tests.data.files import archive, image_bytes, tree, write_tar, write_zip

IMAGES = [image_bytes(i) for i in range(10)]
ARCHIVES = {
    "zip": write_zip,
    "tar": write_tar,
    "tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def text_of(rows: list[dict[str, Any]], form: str) -> bytes:
    if form == "jsonl":
        return "\n".join(json.dumps(row) for row in rows).encode()
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def rows_of(labels: list[Any], image: str = "image", label: str = "label", **more: list[Any]) -> list[dict[str, Any]]:
    extra = [{name: values[i] for name, values in more.items()} for i in range(len(labels))]
    return [{image: encoded(IMAGES[i]), label: labels[i]} | extra[i] for i in range(len(labels))]


def table(folder: Path, form: str = "jsonl", **files: list[dict[str, Any]]) -> DatasetInput:
    for role, rows in files.items():
        (folder / role).write_bytes(text_of(rows, form))
    return DatasetInput(kind="table", name="t", files={role: str(folder / role) for role in files})


def refused(dataset: DatasetInput, word: str, limits: Limits | None = None) -> InvalidDataset:
    with pytest.raises(InvalidDataset, match=word) as caught:
        open_dataset(dataset, limits or Limits())
    assert caught.value.remedy
    assert caught.value.fault == "user"
    return caught.value


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("IMG", "Class"), ("data", "category")])
def test_one_file(tmp_path: Path, form: str, image: str, label: str) -> None:
    data = open_dataset(table(tmp_path, form, all=rows_of(["cat", "dog"] * 5, image, label)))
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.test)) == (8, 2)
    assert data.train.uniform_shape == (3, 8, 8)


def test_numbers_sort_as_numbers_and_both_forms_have_one_digest(tmp_path: Path) -> None:
    found = []
    for form in ("csv", "jsonl"):
        found.append(open_dataset(table(tmp_path, form, all=rows_of([10, 9] * 5))))
    assert found[0].classes == found[1].classes == ("9", "10")
    assert found[0].digest == found[1].digest


def test_the_split_column_divides(tmp_path: Path) -> None:
    splits = ["train", "train", "Training", "train", "val", "val", "test", "test"]
    data = open_dataset(table(tmp_path, all=rows_of(["a", "b"] * 4, split=splits)))
    assert (len(data.train), len(data.test)) == (4, 2)
    assert data.notes == ("Not used: 2 rows of the split 'validation'.",)
    data = open_dataset(table(tmp_path, all=rows_of(["a", "b"] * 3, split=splits[:6])))
    assert (len(data.train), len(data.test)) == (4, 2)
    assert data.notes == ("The split 'validation' is the test split: there is no other.",)


def test_train_and_test_files_and_data_urls(tmp_path: Path) -> None:
    test = rows_of(["b", "a"])
    test[0]["image"] = "data:image/png;base64," + str(test[0]["image"])
    data = open_dataset(table(tmp_path, train=rows_of(["a", "b"] * 3), test=test))
    assert data.test.labels.tolist() == [1, 0]
    assert inspect(table(tmp_path, train=rows_of(["a", "b"] * 3), test=test)).duplicates_between_splits == 2


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([{"image": "x", "text": "y"}], "it needs a column 'image'"),
        ([{"label": "y"}], "it needs a column 'image'"),
        (rows_of(["a", "b", ""], split=["train", "train", "test"]), "row 3, of the split 'test', has no class"),
        (rows_of(["", None, "b"], split=["train", "train", "test"]), "no row of the training split has one"),
        ([{"image": encoded(image_bytes()), "kind": "a"}] * 3, "it needs a column 'image'"),
        (rows_of(["a", "b", ["c"]]), "row 3 of the file is nested"),
        (rows_of(["a", "b", "c" * 256]), "class of row 3 of the file has 256 characters"),
        (rows_of(["a", "b", 10**300]), "class of row 3 of the file has 301 characters"),
        (rows_of(["a", "b", "c\x1b[0m"]), "class of row 3 of the file holds control characters"),
        ([*rows_of(["a", "b"]), {"label": "a"}], "row 3 of the file has no text in column 'image'"),
        ([*rows_of(["a", "b"]), {"image": "%%%", "label": "a"}], "row 3 is no base64"),
        (rows_of(["a"] * 4), "fewer than 2 classes"),
        (rows_of(["a", "b"], split=["train", "odd"]), "row 2 of the file has the split 'odd'"),
        (rows_of(["a", "b"], split=["test", "test"]), "training split"),
        (rows_of(["a", "b", "c"], split=["train", "train", "test"]), "training split lacks"),
        ([*rows_of(["a", "b"]), {"image": encoded(b"no image"), "label": "a"}], "row 3"),
    ],
)
def test_what_is_refused(tmp_path: Path, rows: list[dict[str, Any]], word: str) -> None:
    refused(table(tmp_path, all=rows), word)


@pytest.mark.parametrize("column", ["image", "text"])
def test_names_that_are_too_long_together(tmp_path: Path, column: str) -> None:
    """Each is as long as a folder's name may be; a hundred thousand would make every listing tens of megabytes."""
    path = tmp_path / "all.jsonl"
    labels = [f"{i}".zfill(250) for i in range(17_000)]
    path.write_bytes(text_of([{column: encoded(b"x"), "label": label} for label in labels], "jsonl"))
    dataset = recognised(DatasetInput(kind="table", name="n", files={"all": str(path)}))
    with pytest.raises(InvalidDataset, match="names of its 17,000 classes have 4,250,000 characters"):
        inspect_text(dataset) if column == "text" else inspect(dataset)


def test_caps(tmp_path: Path) -> None:
    dataset = table(tmp_path, all=rows_of(["a", "b"] * 5))
    refused(dataset, "more than 5 rows", Limits(members=5))
    refused(dataset, "row 1", Limits(file_bytes=10))
    refused(dataset, "more than 100 bytes", Limits(total_bytes=100))
    refused(dataset, "classes", Limits(classes=1))
    refused(dataset, "pixels", Limits(pixels=10))


def listed(rows: list[dict[str, Any]], name: str = "labels.csv", images: Mapping[str, bytes] | None = None) -> Any:
    files = {f"pictures/{i}.png": data for i, data in enumerate(IMAGES)} if images is None else images
    return {**files, name: text_of(rows, name.rpartition(".")[2])}


def paths(count: int, prefix: str = "pictures/", column: str = "file_name") -> list[dict[str, Any]]:
    return [{column: f"{prefix}{i}.png", "label": "ab"[i % 2]} for i in range(count)]


@pytest.mark.parametrize("form", ARCHIVES)
@pytest.mark.parametrize("top", ["", "around/"])
@pytest.mark.parametrize("name", ["metadata.csv", "labels.jsonl"])
def test_a_table_in_an_archive(tmp_path: Path, form: str, top: str, name: str) -> None:
    files = {top + path: data for path, data in listed(paths(10), name).items()}
    data = open_dataset(archive(ARCHIVES[form](tmp_path / "a", files)))
    assert data.classes == ("a", "b")
    assert len(data.train) + len(data.test) == 10
    assert "table" in data.notes[0]


@pytest.mark.parametrize("column", ["path", "image", "filename"])
def test_tables_by_split(tmp_path: Path, column: str) -> None:
    files = listed(paths(6, column=column), "train.csv") | listed(paths(4, column=column), "test.csv", {})
    data = open_dataset(archive(write_zip(tmp_path / "a.zip", files)))
    assert (len(data.train), len(data.test)) == (6, 4)


def test_metadata_beside_the_images_of_each_split(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    for split, count in (("train", 6), ("test", 4)):
        images = {f"{split}/{i}.png": IMAGES[i] for i in range(count)}
        files |= listed(paths(count, ""), f"{split}/metadata.csv", images)
    data = open_dataset(archive(write_tar(tmp_path / "a.tar", files)))
    assert (len(data.train), len(data.test)) == (6, 4)


def test_one_archive_a_split(tmp_path: Path) -> None:
    train, test = listed(paths(6)), listed(paths(3))
    files = {"train": write_zip(tmp_path / "a", train), "test": write_zip(tmp_path / "b", test)}
    dataset = DatasetInput(kind="archive", name="t", files={role: str(path) for role, path in files.items()})
    data = open_dataset(dataset)
    assert (len(data.train), len(data.test)) == (6, 3)
    write_zip(tmp_path / "b", listed([*paths(3), {"file_name": "pictures/3.png", "label": "c"}]))
    refused(dataset, "training split lacks")


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"file_name": "pictures/99.png", "label": "a"}, "row 11 of labels.csv names 'pictures/99.png'"),
        ({"file_name": "../pictures/1.png", "label": "a"}, "climbs out"),
        ({"file_name": "/etc/passwd", "label": "a"}, "absolute path"),
        ({"file_name": "", "label": "a"}, "row 11 of labels.csv has no text"),
        ({"file_name": "labels.csv", "label": "a"}, "cannot be read"),
    ],
)
def test_paths_that_are_refused(tmp_path: Path, row: dict[str, Any], word: str) -> None:
    refused(archive(write_zip(tmp_path / "a.zip", listed([*paths(10), row]))), word)


def test_a_table_that_names_no_images_means_nothing(tmp_path: Path) -> None:
    files = tree(2, 5) | {"notes.csv": b"who,when\nme,today\n", "class0/metadata.csv": b"file_name,label\n0.png,a\n"}
    data = open_dataset(archive(write_zip(tmp_path / "a.zip", files)))
    assert data.classes == ("class0", "class1")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_tables_raise_nothing_else(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    form = data.draw(st.sampled_from(["csv", "jsonl"]))
    dataset = table(folder, form, all=rows_of(["a", "b"] * 2))
    content = bytearray((folder / "all").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "all").write_bytes(content)
    with suppress(InvalidDataset):
        open_dataset(dataset, Limits(corrupt_fraction=1.0))
