"""A network that does not start from noise: weights of another network of its family, block by block."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.models.blocks import blocks_for
from distill.models.explicit_map import mapped

SHOWN = 50  # names of a report
_POSITIONS = "pos_embed"


@dataclass(frozen=True)
class Start:
    """What a network was given of another. Names of state dicts: `taken` and `made` (drawn at random) the network's
    own, `left` the other's. `resampled`: of `taken` the tables of positions that were resampled to another size of
    images."""

    label: str
    taken: tuple[str, ...]
    left: tuple[str, ...]
    made: tuple[str, ...]
    resampled: tuple[str, ...] = ()

    def told(self) -> str:
        """All of it in a sentence."""
        found = [f"{len(self.taken)} tensors are those of {self.label}{_some(self.taken)}"]
        found += [f"{len(self.resampled)} of them resampled to the size of the images"] if self.resampled else []
        found.append(f"{len(self.left)} of it were left{_some(self.left)}")
        found.append(f"{len(self.made)} are newly made{_some(self.made)}")
        return "; ".join(found)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable; of the names the first 50."""
        named = {key: getattr(self, key) for key in ("taken", "left", "made", "resampled")}
        return {"label": self.label} | {key: {"count": len(v), "names": v[:SHOWN]} for key, v in named.items()}


@torch.no_grad()
def start_from(
    network: nn.Module,
    source: nn.Module,
    label: str,
    heads: Collection[str] = (),
    named: Mapping[str, str] | None = None,
) -> Start:
    """Copy into `network` what `source`, a network of the same class, has of it; `label` names the source for people.

    Of every list of blocks of one kind (a stage of a ResNet or ConvNeXt, a ViT's blocks) the network's block j is the
    source's `blocks_for`[j], both ends kept; of a single block the last that fits, else the first. Blocks beyond the
    source's stay as they are, and so do the tensors in `heads`, the classifier's. Tables of absolute positions of
    another grid are resampled as timm does. `named`: an explicit map in place of all that, of any two networks
    (`distill.models.explicit_map`). Raises `InvalidConfig` for a source of another class without a map, for tensors of
    other shapes, by name, and where nothing could be taken."""
    if named is None and type(network) is not type(source):
        raise InvalidConfig(
            f"The student is a {type(network).__name__}, {label} a {type(source).__name__}: another architecture.",
            "Start from weights of the student's own family, name what goes where (map), or leave weights out.",
            {"field": "student", "student": type(network).__name__, "weights": type(source).__name__},
        )
    ours, theirs = network.state_dict(), source.state_dict()
    if named is None:
        origins = _origins(network, source, ours, theirs)
        names = {name: there for name, there in origins.items() if name not in heads}
    else:
        names = mapped(ours, theirs, named, heads)
    resampled = {name: _resampled(network, theirs[there], ours[name]) for name, there in names.items()}
    found = {name: tensor if tensor is not None else theirs[names[name]] for name, tensor in resampled.items()}
    _check(label, ours, found)
    for name, tensor in found.items():
        ours[name].copy_(tensor)
    used = set(names.values())
    return Start(
        label,
        taken=tuple(found),
        left=tuple(name for name in theirs if name not in used),
        made=tuple(name for name in ours if name not in found),
        resampled=tuple(name for name, tensor in resampled.items() if tensor is not None),
    )


def _check(label: str, ours: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    wrong = {name: t for name, t in found.items() if t.shape != ours[name].shape}
    if wrong:
        shown = [f"{name} (weights {list(t.shape)}, student {list(ours[name].shape)})" for name, t in wrong.items()]
        raise InvalidConfig(
            f"{len(wrong)} tensors of {label} have other shapes than the student's: {', '.join(shown[:3])}.",
            "Give the student the sizes of the weights (its depth may be less), or start from other weights.",
            {"field": "student", "count": len(wrong), "first": shown[:5]},
        )
    if not found:
        raise InvalidConfig(
            f"Nothing of {label} fits the student.",
            "Start from weights of the student's own architecture, or leave weights out.",
            {"field": "student"},
        )


def _origins(
    network: nn.Module, source: nn.Module, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]
) -> dict[str, str]:
    """Name in the network -> name in the source, for all that the source has."""
    lists = dict(_lists(source))
    moved: dict[str, str] = {}  # path of a block of the network -> of the source's
    gone: set[str] = set()  # blocks that the source has not
    for path, count in _lists(network):
        there = _moved(path, moved)
        if there not in lists:
            continue
        for j, number in enumerate(
            _numbers(lists[there], count, lambda k, p=path, t=there: _fits(ours, theirs, p, t, k))
        ):
            if number is None:
                gone.add(f"{path}.{j}")
            elif number != j or there != path:
                moved[f"{path}.{j}"] = f"{there}.{number}"
    found = {name: _moved(name, moved) for name in ours if not any(name.startswith(f"{block}.") for block in gone)}
    return {name: there for name, there in found.items() if there in theirs}


def _numbers(available: int, wanted: int, fits: Any) -> list[int | None]:
    if wanted > available:
        return [j if j < available else None for j in range(wanted)]
    if wanted == 1 < available and not fits(available - 1):
        return [0]
    return list(blocks_for(available, wanted))


def _fits(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], path: str, there: str, number: int) -> bool:
    """Whether the network's only block of a list has the shapes of the source's block `number`."""
    begin, other = f"{path}.0.", f"{there}.{number}."
    mine = {name.removeprefix(begin): t.shape for name, t in ours.items() if name.startswith(begin)}
    return mine == {name.removeprefix(other): t.shape for name, t in theirs.items() if name.startswith(other)}


def _lists(network: nn.Module) -> list[tuple[str, int]]:
    """Paths of the lists of blocks, outer ones first, with how many blocks each has: sequences of modules of one class
    that have modules of their own."""
    return [
        (path, len(module))
        for path, module in network.named_modules()
        if isinstance(module, nn.Sequential | nn.ModuleList) and _is_list(list(module))
    ]


def _is_list(modules: list[nn.Module]) -> bool:
    return len({type(module) for module in modules}) == 1 and all(any(m.children()) for m in modules)


def _moved(name: str, moved: Mapping[str, str]) -> str:
    """The source's name, by the innermost block that has another place there."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if (there := moved.get(".".join(parts[:end]))) is not None:
            return ".".join([there, *parts[end:]])
    return name


def _resampled(network: nn.Module, theirs: Tensor, ours: Tensor) -> Tensor | None:
    """A table of absolute positions (1, t, c) at the network's grid; None for every other tensor, and where it fits."""
    grid: Any = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    table = getattr(network, _POSITIONS, None)
    same = table is not None and table.shape == ours.shape and theirs.dim() == 3 and theirs.shape != ours.shape
    if not same or grid is None or theirs.shape[-1] != ours.shape[-1]:
        return None
    from timm.layers import resample_abs_pos_embed  # here: names.py says why

    prefix = ours.shape[1] - prod(grid)
    found: Tensor = resample_abs_pos_embed(theirs, new_size=list(grid), num_prefix_tokens=prefix)
    return found


def _some(names: tuple[str, ...]) -> str:
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
