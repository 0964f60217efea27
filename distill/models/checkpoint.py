"""A safetensors file as an architecture's weights: checked on shapes first, so that a wrong file costs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from distill.errors import InvalidConfig, InvalidTeacher
from distill.models.build import MAX_CLASSES, build, headless, pin, size_option, skeleton, unchanged_rng
from distill.models.library_names import FAILURES, as_meta, load_by_library
from distill.models.names import is_dense, resolve
from distill.models.nearest import nearest
from distill.models.state_names import counters, known_prefixes, prefixes_of, told, under
from distill.safetensors_header import Header, read_header
from distill.types import Architecture

_AUXILIARY = re.compile(r"(^|\.)(aux1|aux2|AuxLogits|aux_classifier)\.")
_COUNTER = ".num_batches_tracked"
_PROBES = (7, 11)
_HEAD = re.compile(r"head|classif|fc|linear|logits")
_SMALL_INTEGERS = frozenset({"I8", "U8"})
_GUESSES = 6  # numbers of classes that are tried for a file with older names
Shapes = dict[str, tuple[int, ...]]
DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32,
    "I64": torch.int64, "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64, "F16": torch.float16,
    "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64, "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
"""torch's dtypes by their safetensors names."""
SHOWN = 50  # names of unused tensors in a report: a file may hold a hundred thousand


class _Misfit(InvalidTeacher):
    """Names or shapes are not the architecture's."""


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """A checkpoint that fits. `architecture` has the image size pinned where shapes depend on it; `ignored` names
    tensors that are not loaded (auxiliary heads of GoogLeNet, Inception v3, FCN and DeepLab, counters of profilers,
    what lies beside the network); `parameters` are the network's; `notes` says what was done to fit it, in
    sentences."""

    architecture: Architecture
    num_classes: int
    in_channels: int
    parameters: int
    tensors: int
    dtypes: tuple[str, ...]
    ignored: tuple[str, ...]
    metadata: dict[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable; of `ignored` the first 50."""
        kept = {"architecture": self.architecture.model_dump(mode="json"), "ignored": self.ignored[:SHOWN]}
        return asdict(self) | kept


@dataclass(frozen=True, slots=True)
class _Fit:
    """How a file's tensors fill a network. `names`: name without the wrapper's prefix -> name in the file; `library`:
    they are older names, which the library's own code reads."""

    report: CheckpointReport
    names: dict[str, str]
    library: bool = False


def check(architecture: Architecture, weights_path: str | Path, num_classes: int | None = None) -> CheckpointReport:
    """Check the file as weights of `architecture`; classes, channels and image size are read off its tensors.
    `num_classes` 0 in the report: the file has no classifier's tensors, and is a timm network without one.

    Order: header (`distill.safetensors_header`), names and shapes against the network on the meta device, then every
    value finite. Prefixes of wrappers (`module.`, `_orig_mod.`, `model.`, any that makes all names fit) are taken off,
    counters of profilers left out, older names read by the library's own code; `notes` tells. Raises `InvalidTeacher`
    that names missing, unexpected and wrongly shaped tensors (the first few, and how many) and an architecture that
    would fit where a near one does, NaN or infinite weights, a truncated or foreign file; `UnknownName`,
    `InvalidConfig`.
    """
    fit = _match(architecture, read_header(weights_path), num_classes)
    for _ in _finite(weights_path, fit.names):
        pass
    return fit.report


def load(architecture: Architecture, weights_path: str | Path, num_classes: int | None = None) -> nn.Module:
    """The network with the file's weights, strictly, in eval mode on the CPU in float32.

    `num_classes` is read off the file where None; another number than the file's is an error. Raises as `check`.
    Leaves torch's global generator as it was.
    """
    fit = _match(architecture, read_header(weights_path), num_classes)
    report = fit.report
    with unchanged_rng():
        network = build(report.architecture, report.num_classes, report.in_channels)
    if fit.library:
        load_by_library(resolve(architecture.name), network, dict(_finite(weights_path, fit.names)))
        return network.eval()
    target = network.state_dict()
    with torch.no_grad():
        for name, tensor in _finite(weights_path, fit.names):
            target[name].copy_(tensor)
    return network.eval()


def classifier(architecture: Architecture, in_channels: int = 3) -> set[str]:
    """Names of the tensors whose shapes follow the number of classes. Raises `UnknownName`, `InvalidConfig`."""
    return _heads(*_probed(architecture, in_channels))


def _probed(architecture: Architecture, in_channels: int = 3) -> tuple[Shapes, Shapes]:
    """The shapes for two numbers of classes, which tell the classifier's from the others."""
    first, second = (_shapes(skeleton(architecture, probe, in_channels)) for probe in _PROBES)
    return first, second


def _match(architecture: Architecture, header: Header, num_classes: int | None) -> _Fit:
    """The plain fit, under the first prefix for which there is one; else the library's. The error is that of the
    names as they would fit best."""
    probed = _probed(architecture)
    counted = counters(header.tensors) - set(probed[0])
    kept = [name for name in header.tensors if name not in counted]
    expected = _expected(architecture, probed, kept)
    needed = [name for name in expected if not name.endswith(_COUNTER)]
    whole = prefixes_of(kept, needed)
    for prefix in whole:
        with suppress(_Misfit):
            others = tuple(each for each in whole if len(each) > len(prefix))
            mine = [name for name in kept if not name.startswith(others)]
            return _plain(architecture, header, under(prefix, mine), num_classes, told(prefix, whole), probed)
    known = known_prefixes(kept)
    beside = {name: name for name in _heads(*probed) if name in kept}  # an attribute of its own, the trunk another
    for prefix in known[1:] if beside else ():
        names = beside | under(prefix, kept)
        if names.keys() >= set(needed):
            with suppress(_Misfit):
                return _plain(architecture, header, names, num_classes, told(prefix, beside=beside), probed)
    for prefix in known:
        fit = _by_library(architecture, header, under(prefix, kept), num_classes, told(prefix))
        if fit is not None:
            return fit
    best = max([*whole, *known], key=lambda prefix: len(set(under(prefix, kept)) & set(expected)))
    names = under(best, kept)
    try:
        return _plain(architecture, header, names, num_classes, told(best), probed)
    except _Misfit as error:
        other = nearest(architecture, names, lambda near: _plain(near, header, names, num_classes, [], _probed(near)))
        if other is not None:
            error.remedy = f"The weights fit {other}: name that architecture."
            error.details["fits"] = other
        raise


def _expected(architecture: Architecture, probed: tuple[Shapes, Shapes], kept: list[str]) -> Shapes:
    """What the file should hold: without the classifier where it has none of its tensors and the library builds such
    networks."""
    ends = tuple(_heads(*probed))
    if not ends or not headless(architecture) or any(name.endswith(ends) for name in kept):
        return probed[0]
    return _shapes(skeleton(architecture, 0))


def _plain(
    architecture: Architecture, header: Header, names: dict[str, str], num_classes: int | None, notes: list[str],
    probed: tuple[Shapes, Shapes],
) -> _Fit:  # fmt: skip
    """The file's tensors by the network's own names. Raises `_Misfit`."""
    auxiliary = _auxiliary(architecture, names)
    found = {name: header.tensors[file].shape for name, file in names.items() if name not in auxiliary}
    network, classes, channels, fitted = _fitting(architecture, found, num_classes, probed)
    _compare(architecture, _shapes(network), found)
    used = {name: file for name, file in names.items() if name in found}
    _check_dtypes(network, header, used)
    return _Fit(_report(fitted, network, classes, channels, header, used, notes), used)


def _by_library(
    architecture: Architecture, header: Header, names: dict[str, str], num_classes: int | None, notes: list[str]
) -> _Fit | None:
    """As the library reads older files of its own; None where it cannot either."""
    name = resolve(architecture.name)
    quantised = any(header.tensors[file].dtype in _SMALL_INTEGERS for file in names.values())
    if name.library == "retort" or not names or quantised:
        return None
    shapes = {plain: header.tensors[file].shape for plain, file in names.items()}
    channels = next((shape[1] for shape in shapes.values() if len(shape) == 4 and shape[1] == 3), None)
    channels = channels or next((shape[1] for shape in shapes.values() if len(shape) == 4), 3)
    for classes in [num_classes] if num_classes else [*_class_counts(shapes), *([0] if headless(architecture) else [])]:
        state = {n: as_meta(shape, DTYPES[header.tensors[names[n]].dtype]) for n, shape in shapes.items()}
        try:
            network = skeleton(architecture, classes, channels)
            unused = load_by_library(name, network, state)
        except (InvalidConfig, *FAILURES):
            continue
        used = {plain: file for plain, file in names.items() if plain not in unused}
        told = _resampled(network, shapes) or [
            f"{name.library}'s own code for older checkpoints renamed or reshaped the tensors."
        ]
        report = _report(architecture, network, classes, channels, header, used, [*notes, *told])
        return _Fit(report, names, library=True)  # also what was not used: its presence may have decided
    return None


def _resampled(network: nn.Module, found: Shapes) -> list[str]:
    """A sentence for each table of positions that has another size in the file."""
    return [
        f"The positions {name} were resampled from {found[name][1]} to {shape[1]}, for another size of images."
        for name, shape in _shapes(network).items()
        if "pos_embed" in name and len(found.get(name, ())) == len(shape) == 3 and found[name] != shape
    ]


def _class_counts(shapes: Shapes) -> list[int]:
    """How many classes there may be: sizes of the shallowest layers that are named like classifiers."""
    heads = [name for name, shape in shapes.items() if len(shape) in (1, 2) and _HEAD.search(name)]
    counts = [shapes[name][0] for name in sorted(heads, key=lambda name: (name.count("."), name))]
    return list(dict.fromkeys(count for count in counts if 0 < count <= MAX_CLASSES))[:_GUESSES]


def _report(
    architecture: Architecture, network: nn.Module, classes: int, channels: int, header: Header,
    used: dict[str, str], notes: list[str],
) -> CheckpointReport:  # fmt: skip
    ignored = sorted(set(header.tensors) - set(used.values()))
    if counted := counters(ignored):
        notes = [*notes, f"{len(counted)} counters of a profiler were left out ({_some(sorted(counted))})."]
    if not classes:
        notes = [*notes, "The file has no classifier: the network is taken without one."]
    if others := [name for name in ignored if name not in counted]:
        notes = [*notes, f"{len(others)} tensors that the network has no place for were left out ({_some(others)})."]
    return CheckpointReport(
        architecture,
        classes,
        channels,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        tensors=len(used),
        dtypes=tuple(sorted({header.tensors[file].dtype for file in used.values()})),
        ignored=tuple(ignored),
        metadata=header.metadata,
        notes=tuple(notes),
    )


def _auxiliary(architecture: Architecture, names: Iterable[str]) -> set[str]:
    name = resolve(architecture.name)
    if name.name.partition(".")[0] not in {"googlenet", "inception_v3"} and not is_dense(name):
        return set()
    return {name for name in names if _AUXILIARY.search(name)}


def _fitting(
    architecture: Architecture, found: Shapes, num_classes: int | None, probed: tuple[Shapes, Shapes]
) -> tuple[nn.Module, int, int, Architecture]:
    """The skeleton whose free sizes (classes, channels, image side) are the file's, as far as they can be read off."""
    classes = num_classes or _classes(*probed, found)
    if classes is None:
        classes = 0 if headless(architecture) and not _heads(*probed) & found.keys() else _PROBES[0]
    network = skeleton(architecture, classes)
    if _agrees(network, found):
        return network, classes, 3, architecture
    architecture = _with_image_size(architecture, network, found)
    channels = _channels(architecture, classes, found)
    return skeleton(architecture, classes, channels), classes, channels, architecture


def _heads(first: Shapes, second: Shapes) -> set[str]:
    """Tensors whose shapes follow the number of classes."""
    return {name for name, shape in first.items() if second.get(name) != shape}


def _channels(architecture: Architecture, classes: int, found: Shapes) -> int:
    with suppress(InvalidConfig):  # networks whose stem cannot have other channels have three
        three, four = (_shapes(skeleton(architecture, classes, channels)) for channels in (3, 4))
        return _size_that_varies(three, four, found, axis=1) or 3
    return 3


def _classes(first: Shapes, second: Shapes, found: Shapes) -> int | None:
    """The file's classes, by the first tensor whose length follows them: as many, so many for each of several anchors,
    or one more for the background."""
    for name, shape in first.items():
        other, there = second.get(name, ()), found.get(name, ())
        if not len(shape) == len(other) == len(there) > 0 or shape[0] == other[0]:
            continue
        each = (other[0] - shape[0]) // (_PROBES[1] - _PROBES[0])
        count, rest = divmod(there[0] - (shape[0] - each * _PROBES[0]), each)
        if not rest and 0 < count <= MAX_CLASSES:
            return count
    return None


def _size_that_varies(first: Shapes, second: Shapes, found: Shapes, axis: int) -> int | None:
    """The file's size along `axis` of the first tensor whose shape differs there between two skeletons."""
    for name, shape in first.items():
        other, there = second.get(name, ()), found.get(name, ())
        if len(shape) == len(other) == len(there) > axis and shape[axis] != other[axis] and 0 < there[axis] <= 10**6:
            return there[axis]
    return None


def _with_image_size(architecture: Architecture, network: nn.Module, found: Shapes) -> Architecture:
    """ViT-like networks: a position table of another length tells the side that the file was trained with."""
    option = size_option(architecture)
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
    raise _Misfit(
        f"The checkpoint does not fit {architecture.name}: "
        + "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in parts.items() if names)
        + ".",
        "Name the architecture (with its options) that the weights were trained with, or upload other weights.",
        {key.replace(" ", "_"): {"count": len(names), "first": names[:5]} for key, names in parts.items()},
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _check_dtypes(network: nn.Module, header: Header, names: dict[str, str]) -> None:
    for name, tensor in network.state_dict().items():
        if name not in names:
            continue
        dtype = header.tensors[names[name]].dtype
        if tensor.is_floating_point() and not dtype.startswith(("F", "BF")):
            raise InvalidTeacher(
                f"Tensor {name} holds {dtype} values where the network has floating-point weights.",
                "Save the weights in float32, float16 or bfloat16; quantised checkpoints are not read.",
                {"name": name, "dtype": dtype},
            )


def _finite(path: str | Path, names: dict[str, str]) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of `names`, a name to one in the file; after the last, an error if any held NaN or infinity."""
    bad: dict[str, int] = {}
    for name, tensor in _read(path, names):
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


def _read(path: str | Path, names: dict[str, str]) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            for name, there in names.items():
                yield name, file.get_tensor(there)
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidTeacher(f"The checkpoint cannot be read: {error}.", "Upload it again, complete.") from error
