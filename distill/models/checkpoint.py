"""A safetensors file as an architecture's weights: checked on shapes first, so that a wrong file costs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from distill.errors import InvalidConfig, InvalidTeacher
from distill.models.build import build, pin, size_option, skeleton, unchanged_rng
from distill.models.names import is_dense, resolve
from distill.models.segformer import renaming
from distill.safetensors_header import Header, read_header
from distill.types import Architecture

_AUXILIARY = re.compile(r"(^|\.)(aux1|aux2|AuxLogits|aux_classifier)\.")
_COUNTER = ".num_batches_tracked"
_PROBES = (7, 11)
Shapes = dict[str, tuple[int, ...]]
SHOWN = 50  # names of unused tensors in a report: a file may hold a hundred thousand


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """A checkpoint that fits. `architecture` has the image size pinned where shapes depend on it; `ignored` names
    tensors of auxiliary heads (GoogLeNet, Inception v3, FCN, DeepLab), which are not loaded; `parameters` are the
    network's."""

    architecture: Architecture
    num_classes: int
    in_channels: int
    parameters: int
    tensors: int
    dtypes: tuple[str, ...]
    ignored: tuple[str, ...]
    metadata: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable; of `ignored` the first 50."""
        kept = {"architecture": self.architecture.model_dump(mode="json"), "ignored": self.ignored[:SHOWN]}
        return asdict(self) | kept


def check(architecture: Architecture, weights_path: str | Path, num_classes: int | None = None) -> CheckpointReport:
    """Check the file as weights of `architecture`; classes, channels and image size are read off its tensors.

    Order: header (`distill.safetensors_header`), names and shapes against the network on the meta device, then every
    value finite. Raises `InvalidTeacher` that names missing, unexpected and wrongly shaped tensors (the first few, and
    how many), NaN or infinite weights, a truncated or foreign file; `UnknownName`, `InvalidConfig`.
    """
    report = _match(architecture, _renamed(architecture, read_header(weights_path)), num_classes)
    for _ in _finite(weights_path, set(report.ignored)):
        pass
    return report


def load(architecture: Architecture, weights_path: str | Path, num_classes: int | None = None) -> nn.Module:
    """The network with the file's weights, strictly, in eval mode on the CPU in float32.

    `num_classes` is read off the file where None; another number than the file's is an error. Raises as `check`.
    Leaves torch's global generator as it was.
    """
    header, names = read_header(weights_path), _naming(architecture)
    report = _match(architecture, _renamed(architecture, header), num_classes)
    with unchanged_rng():
        network = build(report.architecture, report.num_classes, report.in_channels)
    target = network.state_dict()
    with torch.no_grad():
        for name, tensor in _finite(weights_path, set(report.ignored)):
            target[names(name)].copy_(tensor)
    return network.eval()


def _naming(architecture: Architecture) -> Callable[[str], str]:
    """From the names in published files to the network's own: transformers renames modules between releases."""
    if resolve(architecture.name).library != "transformers":
        return lambda name: name
    return renaming(skeleton(architecture, _PROBES[0]))


def _renamed(architecture: Architecture, header: Header) -> Header:
    names = _naming(architecture)
    return replace(header, tensors={names(name): tensor for name, tensor in header.tensors.items()})


def _match(architecture: Architecture, header: Header, num_classes: int | None) -> CheckpointReport:
    ignored = _auxiliary(architecture, header)
    found = {name: tensor.shape for name, tensor in header.tensors.items() if name not in ignored}
    network, classes, channels, architecture = _fitting(architecture, found, num_classes)
    _compare(architecture, _shapes(network), found)
    _check_dtypes(network, header, ignored)
    return CheckpointReport(
        architecture,
        classes,
        channels,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        tensors=len(found),
        dtypes=tuple(sorted({header.tensors[name].dtype for name in found})),
        ignored=tuple(sorted(ignored)),
        metadata=header.metadata,
    )


def _auxiliary(architecture: Architecture, header: Header) -> set[str]:
    name = resolve(architecture.name)
    if name.name.partition(".")[0] not in {"googlenet", "inception_v3"} and not is_dense(name):
        return set()
    return {name for name in header.tensors if _AUXILIARY.search(name)}


def _fitting(
    architecture: Architecture, found: Shapes, num_classes: int | None
) -> tuple[nn.Module, int, int, Architecture]:
    """The skeleton whose free sizes (classes, channels, image side) are the file's, as far as they can be read off."""
    first, second = (_shapes(skeleton(architecture, probe)) for probe in _PROBES)
    classes = num_classes or _size_that_varies(first, second, found, axis=0) or _PROBES[0]
    network = skeleton(architecture, classes)
    if _agrees(network, found):
        return network, classes, 3, architecture
    architecture = _with_image_size(architecture, network, found)
    channels = _channels(architecture, classes, found)
    return skeleton(architecture, classes, channels), classes, channels, architecture


def _channels(architecture: Architecture, classes: int, found: Shapes) -> int:
    with suppress(InvalidConfig):  # networks whose stem cannot have other channels have three
        three, four = (_shapes(skeleton(architecture, classes, channels)) for channels in (3, 4))
        return _size_that_varies(three, four, found, axis=1) or 3
    return 3


def _size_that_varies(first: Shapes, second: Shapes, found: Shapes, axis: int) -> int | None:
    """The file's size along `axis` of the first tensor whose shape differs there between two skeletons."""
    for name, shape in first.items():
        other, there = second.get(name, ()), found.get(name, ())
        if len(shape) == len(other) == len(there) > axis and shape[axis] != other[axis] and 0 < there[axis] <= 10**6:
            return there[axis]
    return None


def _with_image_size(architecture: Architecture, network: nn.Module, found: Shapes) -> Architecture:
    """ViT-like networks: a position table of another length tells the side that the file was trained with."""
    option = size_option(resolve(architecture.name))
    if option is None or option in architecture.options:
        return architecture
    for name, shape in _shapes(network).items():
        there = found.get(name, ())
        if "pos_embed" in name and len(there) == len(shape) == 3 and there[1] != shape[1]:
            side = _side(network, shape[1], there[1])
            return architecture if side is None else pin(architecture, side)
    return architecture


def _side(network: nn.Module, tokens: int, found: int) -> int | None:
    patch = getattr(getattr(network, "patch_embed", network), "patch_size", None)
    patch = patch[0] if isinstance(patch, tuple) else patch
    prefix = tokens - isqrt(tokens) ** 2
    grid = isqrt(max(0, found - prefix))
    return grid * patch if isinstance(patch, int) and grid * grid + prefix == found and grid else None


def _shapes(network: nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _agrees(network: nn.Module, found: Shapes) -> bool:
    expected = _shapes(network)
    return all(expected.get(name) == shape for name, shape in found.items())


def _compare(architecture: Architecture, expected: Shapes, found: Shapes) -> None:
    # Checkpoints older than PyTorch 0.4.1 lack the batch counters; nothing but a momentum of None reads them.
    missing = [name for name in expected if name not in found and not name.endswith(_COUNTER)]
    unexpected = [name for name in found if name not in expected]
    wrong = [
        f"{name} (file {list(found[name])}, network {list(shape)})"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if not (missing or unexpected or wrong):
        return
    parts = {"missing": missing, "unexpected": unexpected, "wrongly shaped": wrong}
    raise InvalidTeacher(
        f"The checkpoint does not fit {architecture.name}: "
        + "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in parts.items() if names)
        + ".",
        "Name the architecture (with its options) that the weights were trained with, or upload other weights.",
        {key.replace(" ", "_"): {"count": len(names), "first": names[:5]} for key, names in parts.items()},
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _check_dtypes(network: nn.Module, header: Header, ignored: set[str]) -> None:
    for name, tensor in network.state_dict().items():
        info = header.tensors.get(name)
        if info is None or name in ignored:
            continue
        if tensor.is_floating_point() and not info.dtype.startswith(("F", "BF")):
            raise InvalidTeacher(
                f"Tensor {name} holds {info.dtype} values where the network has floating-point weights.",
                "Save the weights in float32, float16 or bfloat16; quantised checkpoints are not read.",
                {"name": name, "dtype": info.dtype},
            )


def _finite(path: str | Path, ignored: set[str]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the file; after the last, an error if any held NaN or infinity."""
    bad: dict[str, int] = {}
    for name, tensor in _read(path, ignored):
        values = tensor.float() if tensor.element_size() == 1 else tensor  # float8 has few operations of its own
        wrong = tensor.numel() - int(torch.isfinite(values).sum())
        bad |= {name: wrong} if wrong else {}
        yield name, tensor
    if bad:
        raise InvalidTeacher(
            f"{len(bad)} tensors of the checkpoint hold NaN or infinite values ({_some(list(bad))}).",
            "Upload the weights of a training run that did not diverge.",
            {"count": len(bad), "first": [{"name": name, "values": n} for name, n in list(bad.items())[:5]]},
        )


def _read(path: str | Path, ignored: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            for name in file.keys():  # noqa: SIM118  (safe_open is no mapping)
                if name not in ignored:
                    yield name, file.get_tensor(name)
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidTeacher(f"The checkpoint cannot be read: {error}.", "Upload it again, complete.") from error
