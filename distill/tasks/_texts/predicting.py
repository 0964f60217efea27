"""Texts one by one: what is asked, and a teacher beside a loaded student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.modalities.text import TextPreprocessing
from distill.modalities.text.prompts import Talk, Text
from distill.modalities.text.records import ROLES, Form
from distill.models.language import Tokens, load, open_folder
from distill.tasks.prediction import InvalidSample, Predicting
from distill.types import Architecture

_WANTED: dict[Form, str] = {
    "texts": "a text",
    "pairs": "two texts, as a list",
    "instructions": "an instruction as a text, or the instruction and its input as a list of two texts",
    "messages": "a text, or a list of messages with `role` and `content`",
}


class TextPredicting(Predicting):
    def teacher(self, student: Any, weights: Path, told: Mapping[str, Any], scratch: Path) -> Any:
        folder = open_folder(weights, scratch)
        how = TextPreprocessing(**told["preprocessing"])
        model, _ = load(folder, how.task, student.classes)
        config: Any = model.config
        architecture = Architecture.model_validate(told["architecture"])
        tokens = Tokens.load(folder, config)
        return replace(student, model=model, architecture=architecture, preprocessing=how, tokens=tokens)


def asked(sample: Any, form: Form) -> Text | Talk:
    """A sample of JSON as the networks of this form take it. Raises `InvalidSample`."""
    if isinstance(sample, str) and form != "pairs":
        return sample
    if form in {"pairs", "instructions"} and isinstance(sample, list) and len(sample) == 2:
        first, second = sample
        if isinstance(first, str) and isinstance(second, str):
            return first, second
    if form == "messages" and isinstance(sample, list) and sample and all(map(_is_message, sample)):
        return sample
    raise InvalidSample(f"This student takes {_WANTED[form]}.", "Send each sample so.", {"form": form})


def _is_message(found: Any) -> bool:
    return isinstance(found, dict) and found.get("role") in ROLES and isinstance(found.get("content"), str)
