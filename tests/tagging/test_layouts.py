"""Every form of a dataset gives the same pictures with the same labels, and is known by its first rows."""

from __future__ import annotations

import base64
import json
import tarfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.data import stratify
from distill.tasks.inspection import Room, inspect, task_of
from distill.tasks.tag_images.opening import Tagged, open_tagged, strata
from distill.tasks.tag_images.samples import open_dataset
from distill.types import DatasetInput
from tests.data.files import image_bytes, write_zip
from tests.tagging.shapes import CLASSES, as_csv, as_jsonl, hot, named, pictures, png, zipped

LABELS = [[True, False, True], [False, False, False], [False, True, False], [True, True, True], *hot(20, 3)]
SPLITS = ["test" if i % 3 == 0 else "train" for i in range(len(LABELS))]
Write = Callable[[Path, list[dict[str, Any]]], DatasetInput]


def all_of(kind: str, path: Path, task: str = "") -> DatasetInput:
    return DatasetInput(kind=kind, name="d", files={"all": str(path)}, task=task)


def beside(table: str, data: Callable[[Sequence[dict[str, Any]]], bytes]) -> Write:
    def write(folder: Path, rows: list[dict[str, Any]]) -> DatasetInput:
        files = pictures(LABELS) | {table: data(rows)}
        return all_of("archive", zipped(folder / "a.zip", files))

    return write


def inside(data: Callable[[Sequence[dict[str, Any]]], bytes]) -> Write:
    def write(folder: Path, rows: list[dict[str, Any]]) -> DatasetInput:
        encoded = [
            {"image": base64.b64encode(png(i, has)).decode()} | {k: v for k, v in row.items() if k != "file_name"}
            for i, (has, row) in enumerate(zip(LABELS, rows, strict=True))
        ]
        (folder / "t").write_bytes(data(encoded))
        return all_of("table", folder / "t")

    return write


def parquet(folder: Path, rows: list[dict[str, Any]]) -> DatasetInput:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0] if name != "file_name"}
    images = [{"bytes": png(i, has), "path": None} for i, has in enumerate(LABELS)]
    pq.write_table(pa.table({"image": images, **columns}), folder / "d.parquet")
    return all_of("parquet", folder / "d.parquet")


def numbered(folder: Path, feature: Any) -> DatasetInput:
    """As the `datasets` library writes a `Sequence(ClassLabel)`, in which "none" is a class without pictures."""
    numbers = [[number for number, one in enumerate(has) if one] for has in LABELS]
    images = [{"bytes": png(i, has), "path": None} for i, has in enumerate(LABELS)]
    table = pa.table({"image": images, "labels": pa.array(numbers, pa.list_(pa.int64())), "split": SPLITS})
    features = {"info": {"features": {"labels": feature}}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, folder / "d.parquet")
    return all_of("parquet", folder / "d.parquet")


def tarred(folder: Path, rows: list[dict[str, Any]]) -> DatasetInput:
    with tarfile.open(folder / "a.tgz", "w:gz") as packed:
        for name, data in (pictures(LABELS) | {"metadata.jsonl": as_jsonl(rows)}).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            packed.addfile(entry, BytesIO(data))
    return all_of("archive", folder / "a.tgz")


def in_a_folder(folder: Path, rows: list[dict[str, Any]]) -> DatasetInput:
    (folder / "pictures").mkdir()
    for name, data in (pictures(LABELS) | {"metadata.csv": as_csv(rows)}).items():
        (folder / name).write_bytes(data)
    return all_of("folder", folder)


def separated(between: str) -> Callable[[Sequence[bool]], Any]:
    return lambda has: between.join(named(has))


def as_list(has: Sequence[bool]) -> list[str]:
    return named(has)


def as_python(has: Sequence[bool]) -> str:
    return repr(named(has))


FORMS: dict[str, tuple[Write, str, Callable[[Sequence[bool]], Any]]] = {
    "zip, a|b": (beside("labels.csv", as_csv), "labels", separated("|")),
    "zip, a;b": (beside("labels.csv", as_csv), "tags", separated(";")),
    "zip, list of pandas": (beside("labels.csv", as_csv), "labels", as_python),
    "zip, metadata.jsonl": (beside("metadata.jsonl", as_jsonl), "labels", as_list),
    "zip, below a folder of pictures": (beside("pictures/metadata.jsonl", as_jsonl), "labels", as_list),
    "tar.gz": (tarred, "labels", as_list),
    "folder": (in_a_folder, "labels", separated("|")),
    "JSON Lines with pictures": (inside(as_jsonl), "tags", as_list),
    "CSV with pictures": (inside(as_csv), "tags", separated("|")),
    "parquet, list of names": (parquet, "labels", as_list),
    "parquet, `label` of lists": (parquet, "label", as_list),
}


def rows_of(column: str, say: Callable[[Sequence[bool]], Any]) -> list[dict[str, Any]]:
    return [
        {"file_name": name, column: say(has), "split": split}
        for name, has, split in zip(pictures(LABELS), LABELS, SPLITS, strict=True)
    ]


def check(found: Tagged, classes: Sequence[str] = CLASSES) -> None:
    assert found.images.classes == tuple(classes)
    for split in ("train", "test"):
        wanted = [has for has, said in zip(LABELS, SPLITS, strict=True) if said == split]
        part = getattr(found.images, split)
        rows = found.hot(part)[:, [classes.index(name) for name in CLASSES]]
        # Archives order their pictures by path, which is the order here.
        assert rows.tolist() == wanted


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_recognised_and_read_alike(form: str, tmp_path: Path) -> None:
    write, column, say = FORMS[form]
    dataset = write(tmp_path, rows_of(column, say))
    assert task_of(dataset) == "tag_images"
    found = open_tagged(dataset, scratch=tmp_path)
    check(found)
    none = sum(not any(has) and said == "train" for has, said in zip(LABELS, SPLITS, strict=True))
    assert any(note.startswith(f"{none} of ") and "train images have no label" in note for note in found.images.notes)


@pytest.mark.parametrize("write", [beside("labels.csv", as_csv), inside(as_jsonl), parquet])
def test_a_column_of_0_and_1_a_class(write: Write, tmp_path: Path) -> None:
    rows = [
        {"file_name": name, **{c: int(one) for c, one in zip(CLASSES, has, strict=True)}, "rare": 0, "split": split}
        for name, has, split in zip(pictures(LABELS), LABELS, SPLITS, strict=True)
    ]
    dataset = write(tmp_path, rows)
    assert task_of(dataset) == "tag_images"
    found = open_tagged(dataset, scratch=tmp_path)
    check(found, [*CLASSES, "rare"])
    assert any("rare" in note and "no training image" in note for note in found.images.notes)


NAMES = [*CLASSES, "none"]


@pytest.mark.parametrize(
    "feature",
    [
        {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "Sequence"},
        {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "List"},
        [{"names": NAMES, "_type": "ClassLabel"}],
    ],
)
def test_numbers_of_a_class_label_are_its_names(feature: Any, tmp_path: Path) -> None:
    dataset = numbered(tmp_path, feature)
    assert task_of(dataset) == "tag_images"
    check(open_tagged(dataset), NAMES)


def test_a_row_a_label_is_put_together(tmp_path: Path) -> None:
    rows = [
        {"file_name": name, "label": label, "split": split}
        for name, has, split in zip(pictures(LABELS), LABELS, SPLITS, strict=True)
        for label in named(has) or [""]
    ]
    path = zipped(tmp_path / "a.zip", pictures(LABELS) | {"labels.csv": as_csv(rows)})
    assert task_of(all_of("archive", path)) == "classify_images"  # as ever: one class in each row
    found = open_tagged(all_of("archive", path, "tag_images"))
    check(found)
    assert any(note.startswith(f"{len(rows)} rows name {len(LABELS)} images") for note in found.images.notes)


def test_train_and_test_as_two_files(tmp_path: Path) -> None:
    files = {}
    for role in ("train", "test"):
        rows = [row for row in rows_of("labels", separated("|")) if row.pop("split") == role]
        held = {row["file_name"]: pictures(LABELS)[row["file_name"]] for row in rows}
        files[role] = str(zipped(tmp_path / f"{role}.zip", held | {"labels.csv": as_csv(rows)}))
    check(open_tagged(DatasetInput(kind="archive", name="d", files=files)))


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("label", ["bar", "dot", "frame"]),
        ("labels", ["bar", "dot", "frame"]),
        ("label", ["bar|dot", "dot", "frame"]),
        ("labels", ["salt, pepper", "dot", "frame"]),
    ],
)
def test_plain_classes_stay_one_class_a_picture(column: str, cells: list[str], tmp_path: Path) -> None:
    """A comma may be part of a name, and a column of one class may hold anything."""
    rows = [{"file_name": f"{i}.png", column: cells[i % 3]} for i in range(30)]
    path = write_zip(tmp_path / "a.zip", {f"{i}.png": image_bytes(i) for i in range(30)} | {"t.csv": as_csv(rows)})
    assert task_of(all_of("archive", path)) == "classify_images"
    assert task_of(all_of("archive", path, "tag_images")) == "tag_images"


def test_a_table_of_other_things_beside_class_folders_says_nothing(tmp_path: Path) -> None:
    files = {f"{'ab'[i % 2]}/{i}.png": image_bytes(i) for i in range(20)}
    files["settings.csv"] = as_csv([{"mirrored": 1, "cropped": 0}])
    assert task_of(all_of("archive", write_zip(tmp_path / "a.zip", files))) == "classify_images"


def test_lists_of_one_label_each_are_lists(tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.png", "labels": [CLASSES[i % 3]]} for i in range(30)]
    path = write_zip(tmp_path / "a.zip", {f"{i}.png": image_bytes(i) for i in range(30)} | {"m.jsonl": as_jsonl(rows)})
    dataset = all_of("archive", path)
    assert task_of(dataset) == "tag_images"
    assert any("classify_images" in note for note in open_tagged(dataset).images.notes)


def test_commas_separate_where_the_task_is_named(tmp_path: Path) -> None:
    dataset = beside("labels.csv", as_csv)(tmp_path, rows_of("labels", separated(", ")))
    named_so = dataset.model_copy(update={"task": "tag_images"})
    found = open_tagged(named_so)
    check(found)
    assert "Labels were separated at ','." in found.images.notes


def test_numbers_may_be_separated_by_spaces(tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.png", "Target": "7 1" if i % 2 else "0"} for i in range(30)]
    path = write_zip(tmp_path / "a.zip", {f"{i}.png": image_bytes(i) for i in range(30)} | {"t.csv": as_csv(rows)})
    assert open_tagged(all_of("archive", path, "tag_images")).images.classes == ("0", "1", "7")


def test_inspection_counts_labels(tmp_path: Path) -> None:
    rows = rows_of("labels", as_list)
    rows[2]["labels"] = ["dot", "dot"]
    dataset = beside("metadata.jsonl", as_jsonl)(tmp_path, rows)
    found = inspect(dataset, Room(tmp_path, tmp_path / "sheet.webp"))
    train = np.array([has for has, split in zip(LABELS, SPLITS, strict=True) if split == "train"])
    assert found["task"] == "tag_images"
    assert found["counts"] == {"train": [len(train)], "test": [len(LABELS) - len(train)]}
    assert found["images_with"]["train"] == train.sum(0).tolist()
    spread = found["labels_per_image"]["train"]
    assert spread["mean"] == pytest.approx(train.sum(1).mean())
    assert (spread["most"], spread["none"], spread["doubled"]) == (
        train.sum(1).max(),
        int((~train.any(1)).sum()),
        1,
    )
    assert (found["never"], found["always"]) == ([], [])
    assert found["thumbnails"]["rows"] == len(CLASSES) + 1  # the last row: pictures without a label
    assert (tmp_path / "sheet.webp").stat().st_size > 0
    assert json.loads(json.dumps(found))["never"] == []


def test_a_changed_label_changes_the_digest(tmp_path: Path) -> None:
    digests = []
    for i, changed in enumerate((False, False, True)):
        rows = rows_of("labels", as_list)
        rows[1]["labels"] = ["bar"] if changed else []
        (tmp_path / str(i)).mkdir()
        digests.append(open_tagged(beside("m.jsonl", as_jsonl)(tmp_path / str(i), rows)).images.digest)
    assert digests[0] == digests[1] != digests[2]


def test_a_held_out_test_split_has_its_share_of_every_label() -> None:
    """Nearer than an even draw has it, of labels that are in 2 to 40 % of the pictures."""
    random = np.random.default_rng(0)
    labels = random.random((1000, 8)) < np.linspace(0.02, 0.4, 8)

    def apart(held: Any) -> float:
        return float(np.abs(labels[held].sum(0) / labels.sum(0) - len(held) / len(labels)).mean())

    drawn = [apart(random.permutation(1000)[:200]) for _ in range(50)]
    dealt = [apart(stratify.split(strata(labels), 0.2, seed)[1]) for seed in range(50)]
    assert np.mean(dealt) < 0.7 * np.mean(drawn)
    assert max(dealt) < max(drawn)


def test_pictures_and_labels_stay_together(tmp_path: Path) -> None:
    """The held-out test split of a table without one: every picture shows what its labels say."""
    rows = [{k: v for k, v in row.items() if k != "split"} for row in rows_of("labels", as_list)]
    found = open_dataset(beside("m.jsonl", as_jsonl)(tmp_path, rows))
    assert any("held out" in note for note in found.notes)
    for samples in (found.train, found.test):
        for i in range(len(samples)):
            pixels = np.asarray(samples.image(i))
            shown = [pixels[4, 4, 0] > 200, pixels[8, 9, 1] > 200, pixels[0, 0, 2] > 200]
            assert samples.labels[i].tolist() == shown
