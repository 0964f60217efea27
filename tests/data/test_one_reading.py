"""One reading of columns, splits and classes: CSV, JSON Lines, a JSON array and parquet, of images and of texts, say
the same by the same rows."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
import tempfile
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.class_names import arrangement
from distill.data.columns import find
from distill.data.labelled import label_of
from distill.data.row_checks import RowLimits
from distill.data.rows import form_of
from distill.data.tables import rows_of
from distill.errors import InvalidDataset
from distill.modalities.images import inspect
from distill.modalities.text import inspect_text, recognised
from distill.types import DatasetInput
from store.formats import KINDS, detect, head_of, why_not
from tests.data.files import image_bytes

N = 20
IMAGES = [image_bytes(i) for i in range(N)]
FORMS = ("csv", "jsonl", "json", "csv.gz", "jsonl.gz", "json.gz", "parquet")
Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows, form: str) -> Path:
    """The rows in a format, as its usual writer makes it."""
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    if form.startswith("csv"):
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        data = out.getvalue().encode()
    else:
        data = (json.dumps(rows, indent=1) if form.startswith("json.") or form == "json" else "".join(
            json.dumps(row) + "\n" for row in rows
        )).encode()  # fmt: skip
    path.write_bytes(gzip.compress(data, mtime=0) if form.endswith(".gz") else data)
    return path


def given_of(**files: Path) -> DatasetInput:
    kinds = {KINDS[form] for path in files.values() if (form := detect(path))}
    assert len(kinds) == 1
    return DatasetInput(kind=kinds.pop(), name="x", files={role: str(path) for role, path in files.items()})


def read(what: str, **files: Path) -> tuple[tuple[str, ...], dict[str, list[int]], tuple[str, ...]]:
    """(classes, counts, notes) of what an upload becomes."""
    dataset = recognised(given_of(**files))
    assert (dataset.kind == "text") == (what == "text")
    found = inspect_text(dataset) if what == "text" else inspect(dataset)
    return found.classes, found.counts, found.notes


def rows_with(what: str, form: str, labels: list[Any], name: str = "label", **more: list[Any]) -> Rows:
    def content(i: int) -> Any:
        if what == "text":
            return f"text number {i}"
        return {"bytes": IMAGES[i], "path": None} if form == "parquet" else base64.b64encode(IMAGES[i]).decode()

    extra = [{column: values[i] for column, values in more.items()} for i in range(len(labels))]
    return [{what: content(i), name: label} | extra[i] for i, label in enumerate(labels)]


WHAT = pytest.mark.parametrize("what", ["image", "text"])
EVERY = pytest.mark.parametrize("form", FORMS)


@WHAT
@EVERY
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("split", ["train"] * 14 + ["test"] * 6),
        ("Split", ["Training"] * 14 + ["dev"] * 6),
        ("subset", ["train_set"] * 14 + ["test_set"] * 6),
        ("set", ["train"] * 14 + ["test"] * 6),
        ("is_train", [True] * 14 + [False] * 6),
        ("is_valid", [0] * 14 + [1] * 6),
    ],
)
def test_a_split_column_divides(what: str, form: str, column: str, values: list[Any], tmp_path: Path) -> None:
    rows = rows_with(what, form, ["a", "b"] * 10, **{column: values})
    classes, counts, notes = read(what, all=write(tmp_path / "x", rows, form))
    assert classes == ("a", "b")
    assert counts == {"train": [7, 7], "test": [3, 3]}
    assert not [note for note in notes if "held out" in note]


@WHAT
@EVERY
@pytest.mark.parametrize(
    ("column", "values"), [("set", ["A", "B"] * 10), ("fold", list(range(N))), ("dataset", ["imdb"] * N)]
)
def test_a_column_that_says_something_else_is_named_as_not_used(
    what: str, form: str, column: str, values: list[Any], tmp_path: Path
) -> None:
    rows = rows_with(what, form, ["a", "b"] * 10, **{column: values})
    _, counts, notes = read(what, all=write(tmp_path / "x", rows, form))
    assert counts == {"train": [8, 8], "test": [2, 2]}
    assert f"Not used: the column {column!r}." in notes


@WHAT
@EVERY
def test_rows_of_other_splits_are_counted(what: str, form: str, tmp_path: Path) -> None:
    split = ["train"] * 10 + ["test"] * 4 + ["validation"] * 4 + ["unlabeled"] * 2
    rows = rows_with(what, form, [*["a", "b"] * 9, "", ""], split=split)
    _, counts, notes = read(what, all=write(tmp_path / "x", rows, form))
    assert counts == {"train": [5, 5], "test": [2, 2]}
    told = "14 images have labels, 2 training images have none." if what == "image" else "Not used: 2 rows of the split"
    assert "Not used: 4 rows of the split 'validation'." in notes
    assert any(note.startswith(told) for note in notes)


@WHAT
@EVERY
def test_a_part_whose_rows_say_another_split_is_refused(what: str, form: str, tmp_path: Path) -> None:
    whole = write(tmp_path / "x", rows_with(what, form, ["a", "b"] * 5, split=["train"] * 8 + ["test"] * 2), form)
    test = write(tmp_path / "y", rows_with(what, form, ["a", "b"]), form)
    with pytest.raises(InvalidDataset, match="sent as the train file, says"):
        read(what, train=whole, test=test)
    with pytest.raises(InvalidDataset, match="sent as the test file, says"):
        read(what, train=test, test=whole)
    with pytest.raises(InvalidDataset, match="has the split 'odd'"):
        read(what, all=write(tmp_path / "z", rows_with(what, form, ["a", "b"] * 5, split=["train", "odd"] * 5), form))


@WHAT
@EVERY
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([0.0, 1.0], ("0", "1")), ([1, 2, 3], ("1", "2", "3")), ([5, 17, 200], ("5", "17", "200")),
        ([True, False], ("False", "True")), ([0.5, 1.0], ("0.5", "1")), ([-1.0, 1.0], ("-1", "1")),
        (["01", "1"], ("01", "1")), ([" a", "a ", "b"], ("a", "b")), (["10", "9"], ("9", "10")),
        (["Caf\u00e9", "Cafe\u0301", "b"], ("Caf\u00e9", "b")),
    ],
)  # fmt: skip
def test_classes(what: str, form: str, labels: list[Any], classes: tuple[str, ...], tmp_path: Path) -> None:
    path = write(tmp_path / "x", rows_with(what, form, (labels * N)[:N]), form)
    assert set(read(what, all=path)[0]) == set(classes)


@WHAT
@EVERY
@pytest.mark.parametrize(
    "name", ["Label", "labels", "CLASS", "Class Name", "className", "category", "target", "sentiment"]
)
def test_names_of_the_class(what: str, form: str, name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x", rows_with(what, form, ["a", "b"] * 10, name), form)
    assert read(what, all=path)[0] == ("a", "b")


@WHAT
@pytest.mark.parametrize(("train", "test"), [("csv", "jsonl"), ("parquet", "parquet"), ("json", "csv.gz")])
def test_floats_and_integers_of_two_files_are_one(what: str, train: str, test: str, tmp_path: Path) -> None:
    """pandas makes floats of a column that once had a gap."""
    first = write(tmp_path / "x", rows_with(what, train, [0, 1] * 5), train)
    second = write(tmp_path / "y", rows_with(what, test, [0.0, 1.0] * 2), test)
    assert read(what, train=first, test=second)[:2] == (("0", "1"), {"train": [5, 5], "test": [2, 2]})


@WHAT
@EVERY
@pytest.mark.parametrize("label", [None, "", " "])
def test_a_missing_class_is_told(what: str, form: str, label: Any, tmp_path: Path) -> None:
    """Texts want one; an image without a class counts as unlabelled, and the notes say how many do."""
    path = write(tmp_path / "x", rows_with(what, form, ["a", "b", "a", "b", label]), form)
    if what == "image":
        assert "4 images have labels, 1 training images have none." in read(what, all=path)[2]
        return
    with pytest.raises(InvalidDataset, match=r"row [45] of .* has no class in column 'label'") as caught:
        read(what, all=path)
    assert "'label'" in caught.value.remedy


@WHAT
def test_names_in_another_case_are_told(what: str, tmp_path: Path) -> None:
    rows = rows_with(what, "jsonl", ["Cat", "cat", "dog", "dog"] * 4)
    assert any("'Cat' and 'cat'" in note for note in read(what, all=write(tmp_path / "x", rows, "jsonl"))[2])
    train = write(tmp_path / "y", rows_with(what, "csv", ["cat", "dog"] * 4), "csv")
    test = write(tmp_path / "z", rows_with(what, "csv", ["Cat", "dog"]), "csv")
    with pytest.raises(InvalidDataset, match="Cat: 1 rows") as caught:
        read(what, train=train, test=test)
    assert "'Cat' and 'cat' differ in upper and lower case" in caught.value.remedy


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0"), (0.0, "0"), ("0.0", "0"), ("-0.0", "0"), (1e0, "1"), ("1.00", "1"), ("01", "01"), ("1.5", "1.5"),
        (1.5, "1.5"), (True, "True"), (Decimal("2.0"), "2"), (None, None), (float("nan"), None), ("", None),
        (" x ", "x"), ([1], None), (b"x", None), ("1.", "1."), ("10.0.0", "10.0.0"),
        (10**30, str(10**30)), ("e\u0301", "\u00e9"),
    ],
)  # fmt: skip
def test_what_a_cell_says_of_its_class(value: Any, label: str | None) -> None:
    assert label_of(value) == label


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.decimals()))
def test_a_class_read_again_is_the_same(value: Any) -> None:
    label = label_of(value)
    assert label is None or (label_of(label) == label and unicodedata.is_normalized("NFC", label))


@pytest.mark.parametrize("column", ["image_id", "Image ID", "imageId", "IMAGE-ID", "image id "])
def test_columns_are_found_however_they_are_spelt(column: str) -> None:
    assert find(["x", column], ("image_id",)) == column


def test_the_first_known_name_counts() -> None:
    assert find(["category", "Label", "label"], ("label", "category")) == "Label"
    assert find([], ("label",)) is None


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b'[{"a": 1}]', "json"), (b" \n[\n {", "json"), (b"[]", "json"), (b'\xef\xbb\xbf[{"a"', "json"),
        (b'{"a": 1}\n{"a": 2}', "jsonl"), (b'{"a": 1}', "jsonl"), (b'{\n "a": 1\n}\n{\n"a": 2}', "json"),
        (b"a,b\n1,2", "csv"), (b"[a],b\n", "csv"), (b"", "csv"), (b'{"a": "cut of', "jsonl"),
    ],
)  # fmt: skip
def test_the_form_of_a_table_by_its_beginning(head: bytes, form: str) -> None:
    assert form_of(head) == form


@pytest.mark.parametrize("size", [10, 70_000, 300_000])
def test_json_objects_longer_than_a_piece(size: int, tmp_path: Path) -> None:
    rows = [{"text": "ä" * (size // 2) + str(i), "n": i} for i in range(5)]
    one_by_one = "\n".join(json.dumps(row, indent=1) for row in rows)
    for text in (json.dumps(rows, ensure_ascii=False), json.dumps(rows, indent=3), one_by_one):
        (tmp_path / "x").write_text(text)
        assert list(rows_of(tmp_path / "x", RowLimits())) == rows


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('[{"a": 1}', "ends within its array, after row 1"), ('[{"a": 1} {"a": 2}]', "no comma stands after row 1"),
        ('[{"a": 1}, 2]', "row 2 of x is no JSON object"), ('[{"a": 1},]', "row 2 of x is no JSON"),
        ('[{"a": 1}] x', "goes on after its last row"), ('[{"a": 1, "a": 2}]', "comes twice"), ('[{"a": NaN}]', "NaN"),
        ('[{"a": [1]}]', "nested"), ('[{"a": "' + "x" * 3000 + '"}]', "more than 1,000 bytes"),
        ('[{"a": ' + "[" * 100_000, "no JSON"), ("[" + '{"a": 1},' * 20 + '{"a": 1}]', "more than 10 rows"),
    ],
)  # fmt: skip
def test_a_json_array_that_is_refused(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(InvalidDataset, match=word):
        list(rows_of(tmp_path / "x", RowLimits(rows=10, cell_bytes=1000)))


def test_a_long_json_object_stops_at_the_cap(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('[{"a": "' + "x" * 10_000_000)
    with pytest.raises(InvalidDataset, match="row 1 of x is no JSON"):
        list(rows_of(tmp_path / "x", RowLimits(row_bytes=100_000)))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_rows_or_refused(value: Any) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(json.dumps([{"a": 1}, value, {"a": value}]))
        file.flush()
        try:
            assert len(list(rows_of(Path(file.name), RowLimits()))) == 3
        except InvalidDataset:
            return


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
def test_gzip_within_the_caps_of_archives(form: str, tmp_path: Path) -> None:
    rows = [{"text": "x" * 900_000, "label": i} for i in range(4)]
    path = write(tmp_path / "x", rows, f"{form}.gz")
    assert path.stat().st_size < 20_000
    with pytest.raises(InvalidDataset, match="unpacks to more than"):
        list(rows_of(path, RowLimits(row_bytes=1 << 20)))
    assert len(list(rows_of(path, RowLimits(row_bytes=1 << 20, ratio=10_000)))) == 4
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvalidDataset, match="damaged or truncated"):
        list(rows_of(path, RowLimits(row_bytes=1 << 20, ratio=10_000)))


def test_a_text_that_dictionary_encoding_repeats(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x" * 100_000] * 1000, "label": ["a", "b"] * 500}), tmp_path / "x")
    with pytest.raises(InvalidDataset, match="200 times its size"):
        list(rows_of(tmp_path / "x", RowLimits()))


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("cp1252", "reads 'café"),
        ("latin-1", "reads 'café"),
        ("utf-16", "in UTF-16"),
        ("utf-16-le", "NUL"),
        ("utf-32", "UTF-32|NUL"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_other_encodings_are_named_with_what_to_do(encoding: str, word: str, form: str, tmp_path: Path) -> None:
    texts = {
        "csv": "text,label\ncafé,a\nthé,b\n",
        "json": '[{"text": "x", "label": "a"},\n {"text":\n"café", "label": "b"}]',
        "jsonl": '{"label": "a", "text":"café"}\n{"text": "thé", "label": "b"}\n',
    }
    (tmp_path / "x").write_bytes(texts[form].encode(encoding))
    with pytest.raises(InvalidDataset, match=word if form == "csv" else "UTF|NUL") as caught:
        inspect(recognised(DatasetInput(kind="table", name="x", files={"all": str(tmp_path / "x")})))
    assert "UTF-8" in caught.value.remedy
    assert detect(tmp_path / "x") is None
    what, remedy = why_not(head_of(tmp_path / "x"))
    assert re.search("text in (UTF|CP1252)", what)
    assert "UTF-8" in remedy


@pytest.mark.parametrize(
    ("theirs", "ours", "found"),
    [
        (["Cat", "DOG"], ["cat", "dog"], "same"), (["hot_dog", "Cat"], ["Hot dog", "cat"], "same"),
        (["dog", "cat"], ["Cat", "Dog"], "permuted"), (["cafe\u0301", "x"], ["X", "Caf\u00e9"], "permuted"),
        (["LABEL_0", "LABEL_1"], ["cat", "dog"], "different"), ([], ["a", "b"], "different"),
        (["Cat", "cat"], ["cat", "Cat"], "permuted"), (["Cat", "cat"], ["Cat", "cat"], "same"),
        (["STRASSE", "x"], ["stra\u00dfe", "x"], "same"), (["a"], ["a", "b"], "different"),
    ],
)  # fmt: skip
def test_class_names_of_two_sides(theirs: list[str], ours: list[str], found: str) -> None:
    assert arrangement(theirs, ours) == found
