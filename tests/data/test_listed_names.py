"""Tables in archives: how they name images, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill.errors import InvalidDataset
from distill.modalities.images import inspect
from distill.modalities.images.report import DatasetReport
from tests.data.files import archive, image_bytes, tree, write_zip

IMAGES = {f"train/{i:03d}.jpg": image_bytes(i) for i in range(10)} | {
    f"test/{i:03d}.jpg": image_bytes(50 + i) for i in range(4)
}


def read(path: Path, files: dict[str, bytes]) -> DatasetReport:
    return inspect(archive(write_zip(path / "a.zip", files)))


def table(head: str, cell: str, count: int = 10, more: str = "") -> bytes:
    rows = "".join(f"{cell.format(i=i)},{'ab'[i % 2]}{more}\n" for i in range(count))
    return f"{head}\n{rows}".encode()


@pytest.mark.parametrize(
    ("head", "cell"),
    [
        ("image_id,label", "{i:03d}.jpg"), ("id,breed", "{i:03d}"), ("image_name,label", "train/{i:03d}"),
        ("Image ID,Class Name", "{i:03d}.jpg"), ("fileName,category", "train/{i:03d}.jpg"),
        ("photo,label", "{i:03d}.jpg"),
        ("path,label", "train\\{i:03d}.jpg"), ("id_code,diagnosis", "{i:03d}"), ("name,label", "{i:03d}"),
        ("file,target", "./train/{i:03d}.jpg"), (",image_id,label", "0,{i:03d}.jpg"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["train.csv", "labels/train.csv", "trainLabels.csv"])
def test_names_of_images_with_and_without_folder_and_ending(head: str, cell: str, name: str, tmp_path: Path) -> None:
    found = read(tmp_path, IMAGES | {name: table(head, cell)})
    assert found.classes == ("a", "b")
    assert sum(found.counts["train"]) + sum(found.counts["test"]) == 10
    assert "4 images that no table names were left out." in found.notes


def test_the_split_tells_which_of_two_files_is_meant(tmp_path: Path) -> None:
    rows = table("image,label,split", "{i:03d}", 10, ",train") + table("", "{i:03d}", 4, ",test").lstrip(b"\n")
    found = read(tmp_path, IMAGES | {"labels.csv": rows})
    assert {split: sum(counts) for split, counts in found.counts.items()} == {"train": 10, "test": 4}
    odd = {f"{folder}/1.jpg": image_bytes(n) for n, folder in enumerate("xy")}
    with pytest.raises(InvalidDataset, match=r"row 1 of labels.csv names '1.jpg', which may be 'x/1.jpg' or 'y/1.jpg'"):
        read(tmp_path, odd | {"labels.csv": table("image,label", "1.jpg", 2)})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (table("code,label", "zz{i}"), "'label' holds classes, but none of its columns (code, label)"),
        (table("id,what", "{i:03d}"), "'id' names images, but none is known to hold their classes"),
    ],
)
def test_a_table_that_cannot_be_used_is_never_dropped_without_a_word(rows: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset) as caught:
        read(tmp_path, IMAGES | {"labels.csv": rows})
    assert said in caught.value.remedy
    assert "labels.csv" in caught.value.remedy
    found = read(tmp_path, tree(2, 5) | {"classes.csv": b"class,meaning\ncat,a\ndog,b\n"})
    assert found.classes == ("class0", "class1")
    assert any("'classes.csv' was not used" in note for note in found.notes)


def test_tables_beside_the_training_table_are_named(tmp_path: Path) -> None:
    files = {
        "train.csv": table("image_id,label", "{i:03d}.jpg"),
        "test.csv": b"image_id\n000.jpg\n",
        "sample_submission.csv": table("image_id,label", "{i:03d}.jpg", 4),
    }
    notes = read(tmp_path, IMAGES | files).notes
    assert any("'test.csv' was not used" in note for note in notes)
    assert "Not used: the table 'sample_submission.csv'." in notes


def test_several_tables_that_could_be_meant(tmp_path: Path) -> None:
    files = {name: table("image_id,label", "train/{i:03d}.jpg") for name in ("labels.csv", "more.csv")}
    with pytest.raises(InvalidDataset, match="several tables"):
        read(tmp_path, IMAGES | files)


@pytest.mark.parametrize("content", [[], {"images": [], "n": 1}, {"a": {"b": 1}}, "x"])
def test_a_json_file_of_something_else_means_nothing(content: Any, tmp_path: Path) -> None:
    found = read(tmp_path, tree(2, 5) | {"info.json": json.dumps(content).encode()})
    assert found.classes == ("class0", "class1")


def test_a_json_array_names_images(tmp_path: Path) -> None:
    rows = [{"file_name": f"train/{i:03d}.jpg", "label": i % 2} for i in range(10)]
    assert read(tmp_path, IMAGES | {"labels.json": json.dumps(rows, indent=1).encode()}).classes == ("0", "1")


def test_numbers_of_rows_are_no_names(tmp_path: Path) -> None:
    """`id` counts rows here, though a file is called 1: the known column that names images counts."""
    images = {f"x/{name}.jpg": image_bytes(n) for n, name in enumerate("1234abcdef")}
    rows = "".join(f"{i},{name},{'uv'[i % 2]}\n" for i, name in enumerate("abcdef", 1))
    found = read(tmp_path, images | {"labels.csv": f"id,image_name,label\n{rows}".encode()})
    assert "4 images that no table names were left out." in found.notes


@pytest.mark.parametrize("name", ["../train/000.jpg", "/train/000.jpg", "C:\\train\\000.jpg", "..\\000.jpg"])
def test_paths_that_leave_the_archive_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset):
        read(tmp_path, IMAGES | {"labels.csv": table("image,label", name)})


def test_an_image_of_two_classes_is_told(tmp_path: Path) -> None:
    rows = table("image,label", "train/{i:03d}.jpg") + b"train/000.jpg,b\n"
    notes = read(tmp_path, IMAGES | {"labels.csv": rows}).notes
    assert any("1 images are named with several classes" in note for note in notes)
