"""Pictures without labels: where they come from, what is told of them, and what leaves it in doubt."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from distill.errors import InvalidDataset
from distill.modalities.images import inspect, open_dataset
from distill.tasks.inspection import inspect as inspect_any
from distill.types import DatasetInput
from distill.unlabelled import NO_LABEL
from tests.data.files import image_bytes, tree, write_folder, write_parquet, write_tar, write_zip

FLAT = {f"{i}.png": image_bytes(500 + i) for i in range(10)}
IMAGES = [image_bytes(i) for i in range(10)]


def below(folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in FLAT.items()}


def of(kind: str, **files: Path) -> DatasetInput:
    return DatasetInput.model_validate({"kind": kind, "name": "u", "files": {k: str(v) for k, v in files.items()}})


def table_of(labels: list[str]) -> dict[str, bytes]:
    rows = "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels))
    return FLAT | {"labels.csv": b"file_name,label\n" + rows.encode()}


def column_alone(path: Path) -> Path:
    pq.write_table(pa.table({"image": IMAGES}), path)
    return path


def of_layout(layout: str, path: Path) -> DatasetInput:
    """Ten pictures, none with a label."""
    match layout:
        case "folder":
            return of("folder", all=write_folder(path, FLAT))
        case "zip":
            return of("archive", all=write_zip(path, FLAT))
        case "tar":
            return of("archive", all=write_tar(path, FLAT, "w:gz"))
        case "folder in a zip":
            return of("archive", all=write_zip(path, below("pictures")))
        case "unlabelled in a zip":
            return of("archive", all=write_zip(path, below("Unlabeled/x")))
        case "table in a zip":
            return of("archive", all=write_zip(path, table_of([""] * 10)))
        case "empty labels":
            return of("parquet", all=write_parquet(path, [*IMAGES], [None] * 10))
        case "no column of labels":
            return of("parquet", all=column_alone(path))
        case _:
            return of("archive", unlabelled=write_zip(path, tree(2, 5)))


LAYOUTS = (
    *("folder", "zip", "tar", "folder in a zip", "unlabelled in a zip", "table in a zip", "empty labels"),
    *("no column of labels", "class folders in the role unlabelled"),
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_without_any_label(layout: str, tmp_path: Path) -> None:
    given = of_layout(layout, tmp_path / "x")
    found = inspect(given, sheet=tmp_path / "sheet.webp")
    assert found.classes == ()
    assert found.counts == {"train": [], "test": []}
    assert found.without_label == {"train": 8, "test": 2}
    assert "None of the 10 images has a label." in found.notes
    assert found.thumbnails is not None
    assert found.thumbnails.rows == 1
    data = open_dataset(given)
    assert data.digest == found.digest
    assert set(data.train.labels.tolist()) == set(data.test.labels.tolist()) == {NO_LABEL}


def of_parts(layout: str, path: Path) -> DatasetInput:
    """Ten pictures of two classes, to train and to test on, and ten training pictures without a label."""
    match layout:
        case "beside classes":
            return of("archive", all=write_zip(path, tree(2, 5) | below("unlabelled")))
        case "beside splits":
            return of("archive", all=write_zip(path, tree(2, 4, "train") | tree(2, 1, "test") | below("unlabeled")))
        case "within train":
            return of(
                "folder", all=write_folder(path, tree(2, 4, "train") | tree(2, 1, "test") | below("train/unlabelled"))
            )
        case "part of an archive":
            more = write_zip(path.with_suffix(".u"), below("some/where"))
            return of("archive", train=write_zip(path, tree(2, 5)), unlabelled=more)
        case "part of a parquet":
            part = write_parquet(path, [*IMAGES], [0, 1] * 5)
            return of("parquet", train=part, unlabelled=column_alone(path.with_suffix(".u")))
        case _:
            return of("parquet", all=write_parquet(path, [*IMAGES, *FLAT.values()], [0, 1] * 5 + [-1] * 10, ["a", "b"]))


PARTS = (
    *("beside classes", "beside splits", "within train", "part of an archive", "part of a parquet"),
    "minus one of a ClassLabel",
)


@pytest.mark.parametrize("layout", PARTS)
def test_a_part_without_labels(layout: str, tmp_path: Path) -> None:
    """It is for training alone, after what has labels, and the test split is held out of labelled pictures."""
    given = of_parts(layout, tmp_path / "x")
    found = inspect(given, sheet=tmp_path / "sheet.webp")
    assert found.counts == {"train": [4, 4], "test": [1, 1]}
    assert found.without_label == {"train": 10, "test": 0}
    assert "10 images have labels, 10 training images have none." in found.notes
    assert found.thumbnails is not None
    assert found.thumbnails.rows == 3
    data = open_dataset(given)
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [NO_LABEL] * 10 or layout.startswith(
        ("part of a p", "minus")
    )
    last = data.train.image(17)
    encoded = [np.asarray(Image.open(io.BytesIO(each))) for each in (*FLAT.values(), *IMAGES)]
    assert any((np.asarray(last) == each).all() for each in encoded)


def test_labels_of_what_is_called_unlabelled_are_told(tmp_path: Path) -> None:
    whole = write_parquet(tmp_path / "x", [*IMAGES], [0, 1] * 5)
    found = inspect(of("parquet", all=whole, unlabelled=whole))
    assert found.without_label["train"] == 10
    assert any(note.startswith("The classes of 10 rows") for note in found.notes)


def test_another_label_is_another_digest(tmp_path: Path) -> None:
    one = inspect(of("parquet", all=write_parquet(tmp_path / "a", [*IMAGES], [*[0, 1] * 4, 0, None])))
    other = inspect(of("parquet", all=write_parquet(tmp_path / "b", [*IMAGES], [*[0, 1] * 4, 0, 1])))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("files", "word", "remedy"),
    [
        ({f"cat/{name}": data for name, data in FLAT.items()}, "only one class, 'cat'", "unlabelled/"),
        ({f"7/{name}": data for name, data in FLAT.items()}, "only one class, '7'", "unlabelled/"),
        (
            {f"train/0/{name}": data for name, data in FLAT.items()} | below("unlabelled"),
            "only one class",
            "unlabelled/",
        ),
        (tree(1, 5, "train") | below("unlabelled"), "only one class", "unlabelled/"),
        (below("train") | tree(2, 2, "test"), "has class folders", "probe"),
        (below("unlabelled") | tree(2, 2, "test"), "none is for training", "train/"),
        (FLAT | {"about.csv": b"file_name,kind\n1.png,x\n"}, "no class folders", "about.csv"),
    ],
)
def test_what_leaves_it_in_doubt_is_refused(files: dict[str, bytes], word: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=word) as caught:
        inspect(of("archive", all=write_zip(tmp_path / "x.zip", files)))
    assert any(each in caught.value.remedy for each in remedy.split("|"))


@pytest.mark.parametrize("roles", [{"test", "unlabelled"}, {"all", "train"}, {"test"}, set()])
def test_roles_that_do_not_go_together(roles: set[str], tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", tree())
    with pytest.raises(InvalidDataset, match="has files for"):
        inspect(of("archive", **dict.fromkeys(roles, path)))


def test_the_role_is_for_tasks_that_learn_without_labels(tmp_path: Path) -> None:
    """A table of images and one of texts are told apart as ever."""
    path = column_alone(tmp_path / "x")
    assert inspect_any(of("parquet", unlabelled=path))["task"] == "classify_images"
    with pytest.raises(InvalidDataset, match="not of the task classify_text"):
        inspect_any(of("parquet", unlabelled=path).model_copy(update={"task": "classify_text"}))
