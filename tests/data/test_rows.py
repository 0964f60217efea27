"""CSV and JSON Lines: what is read, and what is refused by row number."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.rows import Form, Row, RowLimits, read_rows
from distill.errors import InvalidDataset


def rows(data: bytes, form: Form = "csv", **limits: Any) -> list[Row]:
    return list(read_rows(io.BytesIO(data), form, RowLimits(**limits), "t"))


def refused(data: bytes, word: str, form: Form = "csv", **limits: Any) -> InvalidDataset:
    with pytest.raises(InvalidDataset, match=word) as caught:
        rows(data, form, **limits)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(delimiter: str, mark: bytes, end: str) -> None:
    lines = [f"text{delimiter} label ", f'"two\nlines{delimiter} ""q"""{delimiter}1', "", f"Grüße{delimiter}"]
    found = rows(mark + end.join(lines).encode())
    assert found == [{"text": f'two\nlines{delimiter} "q"', "label": "1"}, {"text": "Grüße", "label": ""}]


def test_jsonl() -> None:
    data = b'{"text": "a", "label": 1}\n\n{"text": "\\u00fc", "score": 0.5, "ok": true, "no": null}'
    assert rows(data, "jsonl") == [
        {"text": "a", "label": 1},
        {"text": "ü", "score": 0.5, "ok": True, "no": None},
    ]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"a,b\n1\n", "row 1 of t has 1 values"),
        (b"a,b\n1,2\n1,2,3\n", "row 2 of t has 3 values"),
        (b"a,a\n1,2\n", "twice"),
        (b",Unnamed: 0\n1,2\n", "empty or come twice"),
        (b'a,b\n"1"x,2\n', "row 1 of t is no CSV"),
        (b'a,b\n"1,2\n', "row 1 of t is no CSV"),
        (b"a,b\n\xff,2\n", "line 2 of t is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "NUL|UTF"),
        (b"a,b\n1,\x00\n", "NUL"),
    ],
)
def test_csv_that_is_refused(data: bytes, word: str) -> None:
    refused(data, word)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"[1]", "no JSON object"),
        (b"1", "no JSON object"),
        (b"{", "no JSON"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": 1e999}', "no finite number"),
        (b'{"a": 1, "a": 2}', "comes twice"),
        (b'{"": 1}', "empty"),
        (b'{"a": [1]}', "nested"),
        (b'{"a": {"b": 1}}', "nested"),
        (b'{"a": "\\ud800"}', "no text has"),
        (b'{"a": "\\u0000"}', "no text has"),
        (b'{"\\ud800": 1}', "empty"),
        (b'{"a": ' + b"[" * 100_000, "no JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "no JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_jsonl_that_is_refused(line: bytes, word: str) -> None:
    error = refused(b'{"a": 1}\n' + line, word, "jsonl")
    assert 2 in (error.details.get("row"), error.details.get("line"))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_caps(form: Form) -> None:
    names, cells = ["aa", "b"], ["x" * 50, "y"]
    line = ",".join(names) + "\n" if form == "csv" else ""
    row = ",".join(cells) + "\n" if form == "csv" else json.dumps(dict(zip(names, cells, strict=True))) + "\n"
    data = (line + 3 * row).encode()
    assert len(rows(data, form, rows=3, columns=2, name_bytes=2, cell_bytes=50)) == 3
    refused(data, "more than 2 rows", form, rows=2)
    refused(data, "more than 1", form, columns=1)
    refused(data, "column name", form, name_bytes=1)
    refused(data, "column 'aa' of row 1", form, cell_bytes=49)
    refused(data, "has more than 40 bytes", form, row_bytes=40)
    refused(data, "t has more than 100 bytes", form, total_bytes=100)
    refused(("a,b\n" + "ü" * 30 + ",1").encode(), "more than 50", cell_bytes=50)


def test_a_quoted_field_that_never_ends_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readline(self, size: int | None = -1) -> bytes:  # type: ignore[override]
            self.given += 10
            return {10: b"a,b\n", 20: b'"'}.get(self.given, b"xxxxxxxxx\n")

    stream = Endless()
    with pytest.raises(InvalidDataset, match="more than 1,000 bytes"):
        list(read_rows(stream, "csv", RowLimits(row_bytes=1000)))  # type: ignore[arg-type]
    assert stream.given < 2000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2)))
def test_what_the_csv_module_writes_is_read_back(values: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *values])
    assert [[row["a"], row["b"]] for row in rows(out.getvalue().encode())] == values


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["csv", "jsonl"]))
def test_any_bytes_raise_nothing_else(data: bytes, form: Form) -> None:
    with suppress(InvalidDataset):
        rows(data, form)
