"""The families of language models that are read and trained, by transformers' `model_type`. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from distill.errors import UnknownName

PREFIX = "transformers:"
SAME = "auto"
"""`transformers:auto`: the teacher's family."""


@dataclass(frozen=True, slots=True)
class Family:
    """`decoder`: causal, answers instructions; else an encoder, which classifies. `inner` is the configuration's name
    of the feed-forward width, `follows` are fields that must equal the width, `head_reads` the token that the
    classification head reads (`cls`, or `last`: the last that is no padding). `autocast`: it runs under bf16 and
    fp16 autocast (transformers' first DeBERTa masks such scores by float32's lowest number, which torch refuses).
    `own_head_width`: its configuration says how wide a head is, so that there may be fewer of the same width."""

    model_type: str
    decoder: bool
    inner: str = "intermediate_size"
    follows: tuple[str, ...] = ()
    head_reads: str = "cls"
    autocast: bool = True
    own_head_width: bool = False


def _decoder(
    model_type: str, inner: str = "intermediate_size", follows: tuple[str, ...] = (), own_head_width: bool = False
) -> Family:
    return Family(model_type, True, inner, follows, "last", own_head_width=own_head_width)


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.model_type: family
        for family in (
            Family("bert", False),  # MiniLM too
            Family("roberta", False),
            Family("distilbert", False, inner="hidden_dim"),
            Family("deberta", False, follows=("pooler_hidden_size",), autocast=False),
            Family("deberta-v2", False, follows=("pooler_hidden_size",)),
            Family("electra", False),
            Family("modernbert", False),
            _decoder("opt", inner="ffn_dim", follows=("word_embed_proj_dim",)),
            _decoder("llama", own_head_width=True),
            _decoder("gpt2", inner="n_inner"),
            _decoder("qwen2", own_head_width=True),
            _decoder("qwen3", own_head_width=True),
        )
    }
)


def family(model_type: str) -> Family:
    """Raises `UnknownName` for a family that is not on the list."""
    if model_type not in FAMILIES:
        raise UnknownName("family of language models", model_type, FAMILIES)
    return FAMILIES[model_type]


#: What a student of a family may be told, as JSON Schema properties. What has no default is the teacher's.
OPTIONS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "layers": {"type": "integer", "minimum": 1, "maximum": 512, "description": "Blocks."},
        "width": {"type": "integer", "minimum": 1, "maximum": 65536, "description": "Hidden size."},
        "parameters": {
            "type": "integer", "minimum": 1,
            "description": "A budget instead of layers and width: the largest of the teacher's proportions that fits.",
        },
        "initialise": {
            "type": "string", "enum": ["auto", "teacher", "random"], "default": "auto",
            "description": "First weights: the teacher's embeddings and every n-th block, or random; `auto`: the "
            "teacher's where widths agree.",
        },
        "heads": {
            "type": ["integer", "string"], "minimum": 1, "maximum": 1024, "default": "auto",
            "description": "Attention heads; `auto`: as wide as the teacher's.",
        },
        "head_width": {
            "type": ["integer", "string"], "minimum": 2, "maximum": 1024, "default": "auto",
            "description": "Width of a head, even; `auto`: in the teacher's proportion. Fewer heads of the teacher's "
            "own width are cut out of it, where `width` is the teacher's.",
        },
        "inner": {
            "type": "integer", "minimum": 1, "maximum": 262144,
            "description": "Feed-forward width; else in the teacher's proportion to `width`.",
        },
        "vocab_size": {
            "type": "integer", "minimum": 1, "maximum": 4000000,
            "description": "Tokens of a vocabulary of its own: special tokens, single characters and those that the "
            "training texts use most. Of classifiers whose teacher's tokenizer is a WordPiece. Else the teacher's.",
        },
        "untied": {
            "type": "boolean", "default": False,
            "description": "A decoder's output layer of its own, not the embeddings.",
        },
    }
)  # fmt: skip


def catalogue() -> list[dict[str, Any]]:
    """As `distill.models.catalogue`: what a student may be, `transformers:auto` (the teacher's family) first, each with
    its options."""
    names = [SAME, *FAMILIES]
    return [
        {"name": PREFIX + name, "library": "transformers", "family": name, "options": dict(OPTIONS)} for name in names
    ]
