"""Running a network whatever its input and output look like; recipes look only at features and logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.layers._forward import to_device
from distill.layers._sequence import IGNORED


def run(network: nn.Module, network_input: Any) -> Any:
    """Call `network`: a mapping as keyword arguments (transformers), anything else as the one argument."""
    return network(**network_input) if isinstance(network_input, Mapping) else network(network_input)


def logits_of(output: Any) -> Tensor:
    """(n, C) logits: a tensor itself, `.logits` (transformers, torchvision's auxiliary heads), `["logits"]`, or the
    first of a tuple. Raises `InvalidConfig` for anything else."""
    if isinstance(output, Mapping) and "logits" in output:
        output = output["logits"]
    output = getattr(output, "logits", output)
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if isinstance(output, Tensor):
        return output
    raise InvalidConfig(f"The network returns {type(output).__name__}, which has no logits.", "Use a classifier.", {})


def run_logits(network: nn.Module, network_input: Any) -> Tensor:
    """`run`, then `logits_of`."""
    return logits_of(run(network, network_input))


def answered(
    logits: Tensor, labels: Tensor, targets: Mapping[str, Tensor] | None = None
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Logits (m, C), labels (m,) and targets whose "logits" are (m, C) too: what the logit losses compare.

    Classes (labels (n,)) pass unchanged. Of token ids (labels (n, t), -100 where nothing is to be predicted) the m that
    are there, each with the logits of the position before it, so that m tokens stand where m samples would. Logits
    that are (m, C) already, since the network was asked for no others (`logits_to_keep`), pass unchanged.
    """
    targets = dict(targets or {})
    if labels.dim() == 1:
        return logits, labels, targets
    wanted = labels[:, 1:] != IGNORED
    if "logits" in targets:
        targets["logits"] = _rows(targets["logits"], wanted)
    return _rows(logits, wanted), labels[:, 1:][wanted], targets


def _rows(logits: Tensor, wanted: Tensor) -> Tensor:
    return logits[:, :-1][wanted] if logits.dim() == 3 else logits


def beside(network: nn.Module, network_input: Any) -> Any:
    """The input on the device of the network's first parameter; as it is where there is none."""
    parameter = next(network.parameters(), None)
    return network_input if parameter is None else to_device(network_input, parameter.device)
