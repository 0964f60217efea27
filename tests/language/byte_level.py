"""Tiny decoders with byte-level BPE tokenizers that split texts as those that llama.cpp has a name for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import distill.torchvision_shim  # noqa: F401

# isort: split
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from distill.exports._gguf_tokens import LLAMA3, QWEN2
from distill.types import Architecture, DatasetInput, TeacherInput
from tests.language import tiny
from tests.language.test_data import write

END, START = "<|endoftext|>", "<|start|>"
SAID = tuple(
    f"The quick brown fox number {i} jumps over {i * 37} lazy dogs, it's what they'll do: caf\u00e9 {i} \u4f60\u597d"
    for i in range(60)
)
FAMILIES = {"gpt2": "gpt-2", "llama": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2"}
"""Which way of splitting each family has here."""


def _split(kind: str) -> Any:
    def bytewise(use_regex: bool) -> Any:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)

    if kind in ("gpt-2", "smollm"):
        own = bytewise(use_regex=True)
        return own if kind == "gpt-2" else pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), own])
    regex = Regex({"qwen2": QWEN2, "llama-bpe": LLAMA3}[kind])
    return pre_tokenizers.Sequence([pre_tokenizers.Split(regex, "isolated"), bytewise(use_regex=False)])


@cache
def _told(kind: str) -> str:
    made = Tokenizer(models.BPE(ignore_merges=kind == "llama-bpe"))
    made.pre_tokenizer, made.decoder = _split(kind), decoders.ByteLevel()
    if kind == "qwen2":
        made.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=alphabet, special_tokens=[END, START], show_progress=False
    )
    made.train_from_iterator(SAID, trainer)
    made.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    return str(made.to_str())


def tokenizer(kind: str) -> Tokenizer:
    return Tokenizer.from_str(_told(kind))


def save(family: str, folder: Path, kind: str = "", spare: int = 5, start: bool = True, **changes: Any) -> Path:
    """A folder as `save_pretrained` writes it. `spare`: rows of the embeddings that no token has."""
    own = tokenizer(kind or FAMILIES.get(family, "gpt-2"))
    given: Mapping[str, Any] = {"pad_token_id": 0, "bos_token_id": 1 if start else None, "eos_token_id": 0}
    sizes = {"vocab_size": own.get_vocab_size() + spare, "max_position_embeddings": 128, "width": 32}
    tiny.network(family, "generate", **(sizes | given | changes)).save_pretrained(folder)
    own.save(str(folder / "tokenizer.json"))
    names = {"eos_token": END, "pad_token": END} | ({"bos_token": START} if start else {})
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"} | names))
    return folder


def teacher(family: str, folder: Path, **changes: Any) -> TeacherInput:
    path = save(family, folder / "teacher", **changes)
    return TeacherInput(
        architecture=Architecture(name=f"transformers:{family}"), weights=str(path), num_classes=0, digest=family
    )


def instructions(folder: Path, count: int = 60) -> DatasetInput:
    """With digits, lines, emoji and an added token."""
    said = [f"It's {i + 1}.\n\tcaf\u00e9 <tool> \u4f60" if i % 7 else " -" for i in range(count)]
    rows = [{"instruction": f"Which number follows {i}? \U0001f600", "output": each} for i, each in enumerate(said)]
    return DatasetInput(kind="text", name="numbers", files={"all": str(write(folder / "numbers.jsonl", rows))})
