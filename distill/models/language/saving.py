"""A network as a Hugging Face folder: config.json, model.safetensors and the tokenizer's files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from distill.models.language.folder import CONFIG, WEIGHTS
from distill.models.language.network import pad_by, task_of
from distill.models.language.tokenizer import Tokens
from distill.models.save import save_tensors


def save_folder(network: Any, tokens: Tokens, folder: Path, metadata: dict[str, str] | None = None) -> None:
    """Write what `transformers.AutoModelFor....from_pretrained(folder)` and `AutoTokenizer` read. Tied tensors are
    written once, by transformers' convention; padding is the tokenizer's: see `pad_by`."""
    folder.mkdir(parents=True, exist_ok=True)
    tied, state = tied_names(network), network.state_dict()
    save_tensors({name: state[name] for name in state if name not in tied}, folder / WEIGHTS, metadata)
    own = pad_by(copy.deepcopy(network.config), task_of(network), tokens.pad)
    config = own.to_dict() | {"architectures": [type(network).__name__], "use_cache": True}
    config = {key: value for key, value in config.items() if not key.startswith("_")}
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tokens.copy_to(folder)


def tied_names(network: Any) -> set[str]:
    """Names in the state dict that share their tensor with another name."""
    if not getattr(network.config, "tie_word_embeddings", False):
        return set()
    return set(getattr(network, "all_tied_weights_keys", None) or {})
