"""A downloaded language model, ready to use: `distill.student.load_student("student.zip")`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from distill.errors import InvalidConfig, InvalidTeacher
from distill.modalities.text import TextPreprocessing, tokenise
from distill.modalities.text.loader import collate
from distill.modalities.text.prompts import Talk, Text, prompt
from distill.models.language import Tokens, load, open_folder
from distill.models.language.config import class_names
from distill.predictions import Prediction, in_parts
from distill.recipe_parts.networks import run_logits
from distill.tasks._texts.generation import NEW_TOKENS, generate
from distill.tasks.network import Network
from distill.types import Architecture


@dataclass(frozen=True)
class TextStudent:
    """A trained classifier of texts or pairs of texts, or a decoder that answers instructions."""

    model: torch.nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: TextPreprocessing
    tokens: Tokens

    def inputs(self, texts: Iterable[Text]) -> dict[str, Tensor]:
        """Texts, or pairs, as the model's inputs (n, t)."""
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        made = tokenise(pairs, torch.zeros(len(pairs)), self.tokens, self.preprocessing.max_length)
        return collate(made, torch.arange(len(pairs)), self.tokens.pad, self.preprocessing.max_length)[0]

    @torch.inference_mode()
    def probabilities(self, texts: Iterable[Text]) -> Tensor:
        """(n, classes) float32, rows sum to 1. Raises `InvalidConfig` for a decoder."""
        self._check("classify", "a decoder", "answer")
        found = [torch.softmax(run_logits(self.model, self.inputs(part)).float(), dim=1) for part in in_parts(texts)]
        return torch.cat([torch.empty(0, len(self.classes)), *found])

    def predict(self, texts: Iterable[Text]) -> list[Prediction]:
        """The most probable class of each text."""
        best = self.probabilities(texts).max(1)
        found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [Prediction(self.classes[index], index, probability) for index, probability in found]

    def answer(self, instructions: Sequence[Text | Talk], new_tokens: int = NEW_TOKENS) -> list[str]:
        """Greedy answers of decoders: to instructions or pairs (instruction, input), or to conversations so far
        (messages with `role` and `content`; a student of conversations takes a text as the user's first message).
        Raises `InvalidConfig` for a classifier."""
        self._check("generate", "a classifier", "predict")
        network = Network(self.model, self.architecture, self.preprocessing, tokens=self.tokens)
        prompts = [prompt(given, self.preprocessing.form) for given in instructions]
        return generate(network, prompts, torch.device("cpu"), new_tokens)[0]

    def _check(self, task: str, otherwise: str, method: str) -> None:
        if self.preprocessing.task != task:
            raise InvalidConfig(f"This student is {otherwise}.", f"Use `{method}`.", {"task": self.preprocessing.task})


def load_text_student(path: Path) -> TextStudent:
    """Raises InvalidTeacher for a folder or zip that no Retort run wrote."""
    with TemporaryDirectory() as scratch:
        folder = open_folder(path, Path(scratch))
        metadata = next(iter(folder.shards.values())).metadata
        try:
            how = TextPreprocessing(**json.loads(metadata["preprocessing"]))
            architecture = Architecture.model_validate_json(metadata["architecture"])
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidTeacher(
                f"{path.name} was not written by Retort: its header lacks {error}.",
                "Load it with transformers, or with distill.models.language.load.",
            ) from error
        classes = class_names(folder) if how.task == "classify" else ()
        model, _ = load(folder, how.task, classes)
        config: Any = model.config
        tokens = Tokens.load(folder, config)
    return TextStudent(model, architecture, classes, how, tokens)
