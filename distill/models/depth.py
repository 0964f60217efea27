"""How far each of a network's parameters is from its head, in blocks: what layer-wise decay counts."""

from __future__ import annotations

from typing import Any

from torch import nn

from distill.errors import InvalidConfig

NETWORKS = "networks of timm and language models"


def distances(network: nn.Module) -> dict[str, int]:
    """Of each parameter by name: 0 for the head and what else follows the last block, 1 for the last block, and so on
    down to the stem or the embeddings.

    timm's networks are grouped as timm's `param_groups_layer_decay` groups them (`group_matcher`, a norm after the last
    block with that block). Language models of L layers: BEiT's rule, layer i at L - i, every embedding (a tied output
    layer too) at L + 1. Raises `InvalidConfig` for other networks.
    """
    if hasattr(network, "group_matcher"):
        return _timms(network)
    if hasattr(getattr(network, "config", None), "num_hidden_layers"):
        return _language(network)
    raise InvalidConfig(
        f"The order of the blocks of {type(network).__name__} is not known, so that layer_decay cannot follow it.",
        f"Leave layer_decay out, or use one of the {NETWORKS}.",
        {"field": "layer_decay"},
    )


def _timms(network: Any) -> dict[str, int]:
    from timm.models import group_parameters

    groups = group_parameters(network, network.group_matcher(coarse=False), reverse=True)
    last = max(groups.values())
    return {name: last - groups.get(name, last) for name, _ in network.named_parameters()}


def _language(network: Any) -> dict[str, int]:
    from distill.models.language.network import layers_path

    count = int(network.config.num_hidden_layers)
    path = layers_path(network, count)
    embeddings = {name for name, module in network.named_modules() if isinstance(module, nn.Embedding)}

    def distance(name: str) -> int:
        if name.startswith(f"{path}."):
            return count - int(name.removeprefix(f"{path}.").partition(".")[0])
        return count + 1 if name.rpartition(".")[0] in embeddings or "embed" in name else 0

    return {name: distance(name) for name, _ in network.named_parameters()}
