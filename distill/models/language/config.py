"""config.json as data: the keys that we understand, within bounds, made a configuration of transformers' own class."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import distill.torchvision_shim  # noqa: F401  (transformers may import torchvision)

# isort: split
from transformers import CONFIG_MAPPING, PreTrainedConfig

from distill.data.labelled import bad_name
from distill.errors import InvalidTeacher
from distill.language_families import FAMILIES, Family
from distill.model_config import check_keys
from distill.models.language.folder import CONFIG, Folder
from distill.models.language.folder import REMEDY as FOLDER_REMEDY
from distill.vision_folder import OPTIONS as PICTURES

DROPPED = frozenset(
    {"torch_dtype", "dtype", "transformers_version", "use_cache", "output_hidden_states", "output_attentions"}
    | {"return_dict", "pruned_heads", "problem_type", "gradient_checkpointing", "attn_implementation", "torchscript"}
    | {"model_type", "reference_compile", "kernel_config", "experts_implementation"}
)
"""What says how to run a model, not what it is: we decide that. Keys that begin with an underscore go too."""
BOUNDS: Mapping[str, int] = MappingProxyType(
    {"num_hidden_layers": 512, "hidden_size": 65_536, "num_attention_heads": 1_024, "vocab_size": 4_000_000}
    | {"max_position_embeddings": 16_777_216, "num_labels": 100_000}
)
SHORT = 16  # members of a list that is kept with a report
REMEDY = "Send the config.json that `model.save_pretrained` wrote."


def read_config(data: Mapping[str, Any]) -> PreTrainedConfig:
    """The configuration of a family on the list. Raises `InvalidTeacher` for keys that name code or quantisation,
    for other families, and for sizes beyond any real model."""
    check_keys(data, FOLDER_REMEDY)  # before anything recurses into it
    data = copy.deepcopy(dict(data))
    model_type = data.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise InvalidTeacher(
            f"config.json says model_type {str(model_type)[:100]!r}, which is not read.",
            _remedy(str(model_type)),
            {"model_type": str(model_type)[:100], "known": list(FAMILIES)},
        )
    kept = {key: value for key, value in data.items() if key not in DROPPED and not key.startswith("_")}
    try:
        config = CONFIG_MAPPING[model_type](**kept)
        _check_sizes(config)
    except InvalidTeacher:
        raise
    except Exception as error:  # the configuration classes raise many kinds on values of a wrong type
        raise InvalidTeacher(f"config.json cannot be used: {str(error)[:200]}", REMEDY) from error
    config.use_cache = False  # training and scoring never continue a sequence; generation asks for it
    return config


def _remedy(model_type: str) -> str:
    if model_type in PICTURES:
        return f"It is a network of pictures: register it as transformers:{model_type}."
    return f"Use a model of one of these families: {', '.join(FAMILIES)}."


def plain(config: PreTrainedConfig) -> dict[str, Any]:
    """The configuration's numbers, switches, words and short lists of them, `model_type` among them: `read_config`
    makes of it one with the same shapes. Names of classes and settings of positions stay out."""
    values = config.to_dict().items()
    return {key: value for key, value in values if not key.startswith("_") and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= SHORT and all(_is_plain(each) and not isinstance(each, list | tuple) for each in value)
    if isinstance(value, str):
        return len(value) < 100
    return value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))


def _check_sizes(config: PreTrainedConfig) -> None:
    for name, most in BOUNDS.items():
        value = getattr(config, name, None)
        if value is not None and not (isinstance(value, int) and 0 < value <= most):
            raise InvalidTeacher(f"config.json says {name} = {str(value)[:50]}; it must be 1 to {most:,}.", REMEDY)


def class_names(folder: Folder) -> tuple[str, ...]:
    """What config.json calls the classes, by number."""
    named = read_config(folder.json(CONFIG)).id2label or {}
    names = tuple(str(name) for _, name in sorted(named.items()))
    if why := next(filter(None, map(bad_name, names)), None):
        raise InvalidTeacher(f"A class that config.json names {why}.", REMEDY)
    return names


def family_of(config: PreTrainedConfig) -> Family:
    return FAMILIES[config.model_type]


def positions(config: PreTrainedConfig) -> int:
    """The longest sequence in tokens. RoBERTa's positions begin behind its padding token's."""
    most = int(config.max_position_embeddings)
    return most - int(config.pad_token_id or 0) - 1 if config.model_type == "roberta" else most


def head_reads(config: PreTrainedConfig) -> str:
    """The feature that the classification head sees: `cls`, `mean` (ModernBERT may) or `last`."""
    return str(getattr(config, "classifier_pooling", None) or family_of(config).head_reads)
