"""A decoder's configuration and weights as GGUF names and orders them, for the families that llama.cpp has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.models.language.config import positions
from distill.models.language.cutting import Sizes
from distill.models.language.saving import tied_names
from distill.not_exportable import NotExportable

FAMILIES = ("gpt2", "llama", "qwen2", "qwen3")
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
"""GPT-2's weights (in, out)."""
REMEDY = "Use student.zip, which transformers reads, or a teacher of the families {families} as they usually are."


def check_family(config: Any, title: str) -> None:
    """Raises `NotExportable` for what llama.cpp computes otherwise than transformers, or not at all."""
    why = _why_not(config)
    if why:
        raise NotExportable(
            f"This student cannot be written as {title}: {why}.",
            REMEDY.format(families=", ".join(FAMILIES)),
            {"format": title, "operator": None, "family": config.model_type},
        )


def _why_not(config: Any) -> str:
    family = config.model_type
    if family not in FAMILIES:
        return f"the family {family} is none that is written for llama.cpp"
    act = config.activation_function if family == "gpt2" else config.hidden_act
    if act not in (("gelu_new", "gelu_pytorch_tanh") if family == "gpt2" else ("silu", "swish")):
        return f"llama.cpp's {family} has another activation than {act}"
    if family == "gpt2":
        odd = getattr(config, "scale_attn_by_inverse_layer_idx", False) or not config.scale_attn_weights
        return "llama.cpp's gpt2 scales attention by the width of a head alone" if odd else ""
    if any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or ()):
        return f"llama.cpp's {family} has no attention within a window"
    rope = _rope(config)
    if rope["rope_type"] not in ("default", "linear", "llama3"):
        return f"its positions are scaled by {rope['rope_type']}"
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        return "its positions turn a part of each head alone"
    return ""


def add_configuration(writer: Any, config: Any) -> None:
    """What llama.cpp must know to compute. `writer`: gguf's."""
    family, heads = config.model_type, config.num_attention_heads
    writer.add_context_length(positions(config))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(Sizes.of(config).inner)
    writer.add_head_count(heads)
    writer.add_vocab_size(config.vocab_size)
    if family == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    width, rope = Sizes.of(config).head_width, _rope(config)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    if rope["rope_type"] == "linear":
        from gguf import RopeScalingType

        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))


def weights(network: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Each tensor by GGUF's name, fp32, in memory one by one. A tied output layer is left out."""
    import gguf

    config = network.config
    kind = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}[config.model_type]
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    tied = tied_names(network)
    if factors := _factors(config):
        yield "rope_freqs.weight", np.array(factors, dtype=np.float32)
    for name, tensor in network.state_dict().items():
        if name in tied or name.endswith((".attn.bias", ".masked_bias", ".inv_freq")):
            continue
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ValueError(f"GGUF has no name for {name}")
        yield found, _ordered(name, tensor.detach().float(), config).contiguous().numpy()


def _ordered(name: str, tensor: Tensor, config: Any) -> Tensor:
    if config.model_type == "gpt2":
        return tensor.T if name.endswith(TRANSPOSED) else tensor
    if config.model_type == "llama":
        part = name.rpartition(".")[0]
        if part.endswith("q_proj"):
            return _paired(tensor, config.num_attention_heads)
        if part.endswith("k_proj"):
            return _paired(tensor, config.num_key_value_heads)
    return tensor


def _paired(tensor: Tensor, heads: int) -> Tensor:
    """Rows of each head: transformers turns row i with row i + width / 2, llama.cpp row 2 i with row 2 i + 1."""
    return tensor.reshape(heads, 2, -1, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def _rope(config: Any) -> Mapping[str, Any]:
    found = dict(getattr(config, "rope_parameters", None) or {})
    return {"rope_type": "default", "rope_theta": 10000.0} | found


def _factors(config: Any) -> list[float]:
    """Of Llama 3's positions: by how much each frequency is divided (llama.cpp's `rope_freqs`); [] of others."""
    if config.model_type == "gpt2" or (rope := _rope(config))["rope_type"] != "llama3":
        return []
    width = Sizes.of(config).head_width
    turns = float(rope["rope_theta"]) ** (torch.arange(0, width, 2).double() / width)
    low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    first = float(rope["original_max_position_embeddings"])

    def factor(turn: float) -> float:
        length = 2 * math.pi * turn
        if length < first / high:
            return 1.0
        if length > first / low:
            return float(rope["factor"])
        smooth = (first / length - low) / (high - low)
        return 1 / ((1 - smooth) / float(rope["factor"]) + smooth)

    return [factor(turn) for turn in turns.tolist()]
