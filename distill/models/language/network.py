"""A configuration as a network with random weights, by the class that transformers' registry has for it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, PreTrainedConfig

from distill.errors import InvalidConfig, InvalidTeacher
from distill.models.language.config import family_of

Task = Literal["classify", "generate"]
MAX_PARAMETERS = 6_000_000_000
_REGISTRIES: dict[Task, Any] = {
    "classify": MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    "generate": MODEL_FOR_CAUSAL_LM_MAPPING,
}


def for_task(config: PreTrainedConfig, task: Task, classes: Sequence[str] = ()) -> PreTrainedConfig:
    """A copy of the configuration with these classes. Raises `InvalidConfig` for an encoder that is to generate."""
    if task == "generate" and not family_of(config).decoder:
        raise InvalidConfig(
            f"A model of the family {config.model_type} is an encoder: it cannot follow instructions.",
            "Use a decoder (OPT, Llama, GPT-2, Qwen), or a dataset of texts with labels.",
        )
    config = copy.deepcopy(config)
    if task == "classify":
        config.id2label = dict(enumerate(classes))
        config.label2id = {name: number for number, name in enumerate(classes)}
        if config.pad_token_id is None:
            config.pad_token_id = 0  # decoders' heads must have one; with a tokenizer at hand `pad_by` sets its own
    return config


def pad_by(config: PreTrainedConfig, task: Task, pad: int) -> PreTrainedConfig:
    """The configuration, told the token that the tokenizer pads with.

    A decoder's classification head reads the last token that is not `pad_token_id`: with another one than batches are
    padded with, it would read the padding. Encoders' heads do not look (and RoBERTa counts its positions from its own),
    and a decoder that generates masks padding: those stay as they are, since an embedding's padding row is not trained.
    """
    if task == "classify" and family_of(config).decoder:
        config.pad_token_id = pad
    return config


def task_of(network: Any) -> Task:
    """What a network of `build` is for."""
    return "classify" if isinstance(network, _REGISTRIES["classify"][type(network.config)]) else "generate"


def build(config: PreTrainedConfig, task: Task) -> nn.Module:
    """The network with random weights from torch's global generator, in train mode, float32, on the CPU.

    Called with keyword arguments (`input_ids`, `attention_mask`, ...: (n, t)) it gives an output with `.logits`:
    (n, classes), or (n, t, vocabulary) for `generate`. Raises `InvalidConfig`, `InvalidTeacher`.
    """
    skeleton(config, task)
    return _construct(config, task)


def skeleton(config: PreTrainedConfig, task: Task) -> nn.Module:
    """As `build`, on the meta device. Refuses what has more than `MAX_PARAMETERS`."""
    with torch.device("meta"):
        network = _construct(config, task)
    count = parameters(network)
    if count > MAX_PARAMETERS:
        raise InvalidTeacher(
            f"The model would have {count:.2g} parameters.", f"Use one of at most {MAX_PARAMETERS:.2g}."
        )
    return network


def parameters(network: nn.Module) -> int:
    """Parameters, tied ones once."""
    return sum(parameter.numel() for parameter in network.parameters())


def _construct(config: PreTrainedConfig, task: Task) -> nn.Module:
    try:
        network: nn.Module = _REGISTRIES[task][type(config)](copy.deepcopy(config))
    except Exception as error:  # the models' own constructors raise many kinds on sizes that do not fit
        raise InvalidConfig(
            f"A {config.model_type} of this configuration cannot be built: {str(error)[:200]}",
            "Choose a width that the heads divide, and sizes above 0.",
        ) from error
    return network.float()


def base_of(network: Any) -> tuple[str, nn.Module]:
    """The headless network inside and its module path (`bert`, `model`, `transformer`)."""
    prefix = str(network.base_model_prefix)
    return prefix, network.get_submodule(prefix)


def layers_path(network: nn.Module, count: int) -> str:
    """Path of the ModuleList of the blocks: the first that holds as many modules as there are layers."""
    for path, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return str(path)
    raise InvalidTeacher(f"The network has no list of {count} blocks.", "Use a model of a family on the list.")
