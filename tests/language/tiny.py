"""Tiny random language models with a real tokenizer, in the Hugging Face layout."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import distill.torchvision_shim  # noqa: F401

# isort: split
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from distill import tasks

WORDS = [
    "the", "a", "cat", "dog", "bird", "fish", "runs", "flies", "swims", "sleeps", "fast", "slow", "far", "near",
    "today", ",", ".", "?", "good", "bad", "what", "does", "it", "do",
]  # fmt: skip
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[EOS]"]
VOCABULARY = 64


def mostly_slow(names: Sequence[str], *fast: str) -> list[Any]:
    """Parameters of which all but `fast` are left to `make test-slow`."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


ENCODERS = ("bert", "roberta", "distilbert", "deberta", "deberta-v2", "electra", "modernbert")
DECODERS = ("opt", "llama", "gpt2", "qwen2", "qwen3")
FAMILIES = (*ENCODERS, *DECODERS)
OFFERED = {task: tasks.spec(f"{task}_text").recipes for task in ("classify", "generate")}
"""Recipes by task."""


def tokenizer(decoder: bool = False) -> Tokenizer:
    """Words and punctuation; encoders' sequences get [CLS] and [SEP], with segments for pairs."""
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if not decoder:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    return made


def config(family: str, width: int = 16, layers: int = 3, heads: int = 2, **changes: Any) -> Any:
    base: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "intermediate_size": 2 * width, "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 4, "cls_token_id": 1, "sep_token_id": 2,
    }  # fmt: skip
    inner = {"distilbert": "hidden_dim", "opt": "ffn_dim", "gpt2": "n_inner"}.get(family)
    if inner:
        base[inner] = base.pop("intermediate_size")
    extra: dict[str, dict[str, Any]] = {
        "opt": {"word_embed_proj_dim": width},
        "llama": {"num_key_value_heads": 1},
        "qwen2": {"num_key_value_heads": 1},
        "qwen3": {"num_key_value_heads": 1, "head_dim": 2 * width // heads},  # as in Qwen3 0.6B: not width / heads
        "electra": {"embedding_size": 8},
        "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 8},
        "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8,
                       "norm_rel_ebd": "layer_norm", "share_att_key": True},
        "modernbert": {"local_attention": 8},
    }  # fmt: skip
    return CONFIG_MAPPING[family](**(base | extra.get(family, {}) | changes))


def network(family: str, task: str = "classify", classes: int = 3, seed: int = 0, **changes: Any) -> Any:
    """In eval mode; larger weights than the families' own, so that layers differ visibly."""
    torch.manual_seed(seed)
    made = config(family, **changes)
    if task == "classify":
        made.id2label = {i: f"class{i}" for i in range(classes)}
        made.label2id = {name: i for i, name in made.id2label.items()}
    registry = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING if task == "classify" else MODEL_FOR_CAUSAL_LM_MAPPING
    module = registry[type(made)](made)
    module.config.use_cache = False
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return module.eval()


def save(module: Any, folder: Path, shards: str | None = None) -> Path:
    """As `save_pretrained` does, with the tokenizer's files."""
    module.save_pretrained(folder, **({"max_shard_size": shards} if shards else {}))
    decoder = module.config.model_type in DECODERS
    tokenizer(decoder).save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    names |= {"eos_token": "[EOS]"} if decoder else {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    settings = names | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def batch(padding: int = 0, seed: int = 0, rows: int = 4, length: int = 9) -> dict[str, torch.Tensor]:
    """Sequences of different lengths, padded to the longest and by `padding` tokens more."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 5 + len(WORDS), (rows, length), generator=generator)
    lengths = torch.tensor([length - i % 4 for i in range(rows)])
    mask = (torch.arange(length + padding) < lengths[:, None]).long()
    ids = torch.cat([ids, torch.zeros(rows, padding, dtype=torch.long)], 1) * mask
    return {"input_ids": ids, "attention_mask": mask}
