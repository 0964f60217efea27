"""Which task a dataset's files are of."""

from __future__ import annotations

from distill.modalities.text.opening import open_raw_text
from distill.modalities.text.recognise import recognised
from distill.types import DatasetInput


def task_of(dataset: DatasetInput) -> str:
    found = recognised(dataset)
    if found.kind != "text":
        return "classify_images"
    return "generate_text" if open_raw_text(found).kind == "generate" else "classify_text"
