"""Text datasets: csv, jsonl and parquet of labelled texts, sentence pairs or instructions; read, split, tokenised, fed.

`inspect_text` needs no torch; what trains loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.modalities.text.dataset import TextDataset, TextSamples, open_text
    from distill.modalities.text.loader import TextBatch, TextLoader
    from distill.modalities.text.opening import RawText, open_raw_text
    from distill.modalities.text.preprocessing import TextPreprocessing
    from distill.modalities.text.recognise import recognised
    from distill.modalities.text.report import TextReport, inspect_text
    from distill.modalities.text.tokens import TokenSamples, choose_length, tokenise

__all__ = [
    "RawText",
    "TextBatch",
    "TextDataset",
    "TextLoader",
    "TextPreprocessing",
    "TextReport",
    "TextSamples",
    "TokenSamples",
    "choose_length",
    "inspect_text",
    "open_raw_text",
    "open_text",
    "recognised",
    "tokenise",
]

_HOMES = {
    "dataset": ("TextDataset", "TextSamples", "open_text"),
    "loader": ("TextBatch", "TextLoader"),
    "opening": ("RawText", "open_raw_text"),
    "preprocessing": ("TextPreprocessing",),
    "recognise": ("recognised",),
    "report": ("TextReport", "inspect_text"),
    "tokens": ("TokenSamples", "choose_length", "tokenise"),
}


def __getattr__(name: str) -> Any:
    for module, members in _HOMES.items():
        if name in members:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
