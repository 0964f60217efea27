"""Rows of named columns from an untrusted CSV or JSON stream, within caps. Knows nothing of images or texts.

CSV as `csv_rows` says; JSON Lines with one object a line, or an array of objects, values plain. All UTF-8 (a byte order
mark is dropped); other encodings are named in the refusal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from distill.data.csv_rows import CsvRows
from distill.data.json_rows import JsonLines, JsonObjects
from distill.data.lines import BOM, Lines, Pieces
from distill.data.row_checks import Form, Row, RowLimits

__all__ = ["FORMS", "Form", "Row", "RowLimits", "form_of", "read_rows"]
FORMS = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json"})
"""Endings of tables among an archive's members; what is in one, its content says."""
HEAD_BYTES = 1 << 16
_ARRAY = re.compile(r"\s*\[\s*[{\]]")


def read_rows(stream: BinaryIO, form: Form, limits: RowLimits, name: str = "The file") -> Iterator[Row]:
    """Rows in order, each with exactly its own columns: CSV's values are text, JSON's also numbers, booleans, None.

    Lazily: at most one row is in memory. Raises `InvalidDataset` (with the row's number from 1, header not counted)
    for other encodings, NUL bytes, ragged rows, doubled column names, nested values and what `limits` forbid.
    """
    if form == "json":
        yield from JsonObjects(Pieces(stream, limits, name), limits, name).rows()
    else:
        reader = CsvRows if form == "csv" else JsonLines
        yield from reader(Lines(stream, limits, name), limits, name).rows()


def form_of(head: bytes) -> Form:
    """By a stream's first bytes: JSON begins with an object or an array of objects; where the first line is not a whole
    object, objects are laid out over several."""
    text = head.removeprefix(BOM).decode("utf-8", errors="replace")
    if _ARRAY.match(text):
        return "json"
    if not text.lstrip().startswith("{"):
        return "csv"
    line, end, _ = text.lstrip().partition("\n")
    return "jsonl" if not end or _is_json(line) else "json"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
