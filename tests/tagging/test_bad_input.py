"""Lists of labels that cannot be meant are refused, by what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.errors import InvalidConfig, InvalidDataset
from distill.tasks.tag_images.cells import part_of, separator_of
from distill.tasks.tag_images.opening import open_tagged
from distill.tasks.tag_images.task import check_mixing
from distill.types import DatasetInput, DistillConfig
from tests.tagging.shapes import as_csv, as_jsonl, pictures, png, zipped

MANY = [[True, False, False], [False, True, True], [False, True, False], [True, True, False]] * 5


def archive(folder: Path, rows: Sequence[dict[str, Any]], lines: bool = True) -> DatasetInput:
    table = {"labels.jsonl": as_jsonl(rows)} if lines else {"labels.csv": as_csv(rows)}
    path = zipped(folder / "a.zip", pictures(MANY) | table)
    return DatasetInput(kind="archive", name="d", files={"all": str(path)}, task="tag_images")


def rows(labels: Sequence[Any], **more: Any) -> list[dict[str, Any]]:
    return [
        {"file_name": name, "labels": one} | {key: values[i] for key, values in more.items()}
        for i, (name, one) in enumerate(zip(pictures(MANY), labels, strict=False))
    ]


GOOD: list[Any] = [["a"], ["b"], ["a", "b"], []] * 5


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ([["a"], [None]], "None"),
        ([["a"], [True]], "True"),
        ([["a"], ["b", ""]], "''"),
        ([["a"], [1.5, {"x": 1}]], "x"),
        ([["a"], [["b"]]], "b"),
        ([["a"], [-1]], "-1"),
        ([["a"], ["b", -3]], "-3"),
        ([["a"], "[b"], "begins as a list"),
        ([["a"], "x" * 300], "255"),
    ],
)
def test_a_cell_that_holds_no_labels_is_named(bad: list[Any], word: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=word):
        open_tagged(archive(tmp_path, rows([*bad, *GOOD[2:]])))


def test_lists_without_any_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="none of its images has a label"):
        open_tagged(archive(tmp_path, rows([[]] * 20)))


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="one class alone, 'a'"):
        open_tagged(archive(tmp_path, rows([["a"], []] * 10)))


def test_a_label_that_only_test_pictures_have_is_refused(tmp_path: Path) -> None:
    splits = ["train"] * 16 + ["test"] * 4
    with pytest.raises(InvalidDataset, match="labels that the training split lacks") as caught:
        open_tagged(archive(tmp_path, rows([*GOOD[:19], ["c"]], split=splits)))
    assert caught.value.details["classes"] == ["c"]


def test_a_test_split_without_any_label_is_refused(tmp_path: Path) -> None:
    splits = ["train"] * 16 + ["test"] * 4
    with pytest.raises(InvalidDataset, match="no image of the split 'test' has a label"):
        open_tagged(archive(tmp_path, rows([*GOOD[:16], [], [], [], []], split=splits)))


def test_rows_that_are_called_unlabelled_are_refused(tmp_path: Path) -> None:
    splits = ["train"] * 12 + ["test"] * 4 + ["unlabelled"] * 4
    with pytest.raises(InvalidDataset, match="4 rows are called unlabelled"):
        open_tagged(archive(tmp_path, rows(GOOD, split=splits)))


def test_a_picture_in_two_splits_is_refused(tmp_path: Path) -> None:
    both = rows(GOOD, split=["train"] * 16 + ["test"] * 4)
    both.append(both[0] | {"split": "test"})
    with pytest.raises(InvalidDataset, match=r"pictures/000\.png"):
        open_tagged(archive(tmp_path, both))


def test_a_doubled_row_is_one_picture(tmp_path: Path) -> None:
    found = open_tagged(archive(tmp_path, [*rows(GOOD), rows(GOOD)[2]]))
    assert len(found.images.train) + len(found.images.test) == 20
    assert any(note.startswith("21 rows name 20 images") for note in found.images.notes)


def test_a_file_that_the_archive_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=r"gone\.png"):
        open_tagged(archive(tmp_path, [*rows(GOOD), {"file_name": "pictures/gone.png", "labels": ["a"]}]))


@pytest.mark.parametrize("cell", ["2", "maybe", "-1", ""])
def test_a_cell_that_is_neither_0_nor_1_is_named(cell: str, tmp_path: Path) -> None:
    plain = [{"file_name": name, "a": i % 2, "b": 1} for i, name in enumerate(pictures(MANY))]
    plain[7]["b"] = cell  # type: ignore[assignment]
    with pytest.raises(InvalidDataset, match="row 8") as caught:
        open_tagged(archive(tmp_path, plain, lines=False))
    assert caught.value.details["column"] == "b"


def test_class_folders_hold_no_lists(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {f"{'ab'[i % 2]}/{i}.png": png(i, [True] * 3) for i in range(10)})
    with pytest.raises(InvalidDataset, match="no table"):
        open_tagged(DatasetInput(kind="archive", name="d", files={"all": str(path)}, task="tag_images"))


def test_a_named_set_has_no_lists() -> None:
    with pytest.raises(InvalidDataset, match="one class an image"):
        open_tagged(DatasetInput(kind="named", name="digits", task="tag_images"))


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (pa.array([[0, 5]] * 6, pa.list_(pa.int64())), "label 5"),
        (pa.array([[0, -1]] * 6, pa.list_(pa.int64())), "-1"),
        (pa.array([[0.5, float("nan")]] * 6, pa.list_(pa.float64())), "nan"),
        (pa.array([[{"x": 1}]] * 6), "holds no labels"),
        (pa.array([[["a"]]] * 6), "holds no labels"),
        (pa.array([b"a"] * 6, pa.binary()), "columns|labels"),
    ],
)
def test_a_column_of_other_types_is_refused(labels: Any, word: str, tmp_path: Path) -> None:
    images = [{"bytes": png(i, [True] * 3), "path": None} for i in range(6)]
    features = {"info": {"features": {"labels": {"feature": {"names": ["a", "b"]}}}}}
    table = pa.table({"image": images, "labels": labels})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), tmp_path / "d.parquet")
    files = {"all": str(tmp_path / "d.parquet")}
    with pytest.raises(InvalidDataset, match=word):
        open_tagged(DatasetInput(kind="parquet", name="d", files=files, task="tag_images"))


def test_a_text_that_looks_like_code_is_read_as_none() -> None:
    for text in ("[__import__('os')]", "[" * 5000, "[1 for _ in ()]", "[{}]"):
        with pytest.raises(InvalidDataset):
            part_of(text, 1, "t")


def test_separators_count_in_their_order() -> None:
    assert separator_of(["a, b|c", "d"]) == "|"
    assert separator_of(["a, b;c"]) == ";"
    assert separator_of(["a, b"]) == ","
    assert separator_of(["hot dog", "dog"]) is None
    assert separator_of(["1 2", "3"]) == ""
    assert separator_of([]) is None


def test_cutmix_is_refused_by_name() -> None:
    with pytest.raises(InvalidConfig) as caught:
        check_mixing(DistillConfig(recipe="cross_entropy", cutmix=1.0))
    assert caught.value.details["field"] == "cutmix"
