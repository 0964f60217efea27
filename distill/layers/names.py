"""Layer names: `layer1.0`, `act#2` (second call of one module), `classifier:input` (what enters a module)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from torch import nn

from distill.errors import LayersNotFound

INPUT = ":input"


@dataclass(frozen=True)
class Point:
    """Where in a forward pass a feature is taken: the `call`-th call of the module at `path`, output or input."""

    name: str
    path: str
    call: int
    is_input: bool


def parse(name: str) -> Point:
    """Split a layer name into module path, number of the call (from 1) and side."""
    base, is_input = name.removesuffix(INPUT), name.endswith(INPUT)
    path, _, number = base.partition("#")
    if number and not (number.isdigit() and int(number) >= 1):
        raise LayersNotFound(f"Layer name {name!r} has no call number after '#'.", "Write `path#2` for a second call.")
    return Point(name, path, int(number or 1), is_input)


def resolve(model: nn.Module, names: Iterable[str]) -> list[tuple[Point, nn.Module]]:
    """The module of every name. Raises `LayersNotFound` with the nearest names the model has."""
    known = dict(model.named_modules(remove_duplicate=False))
    points = [parse(name) for name in names]
    for point in points:
        if point.path not in known:
            close = get_close_matches(point.path, known, n=3)
            hint = f"Did you mean {', '.join(close)}?" if close else "`model.named_modules()` lists what there is."
            raise LayersNotFound(f"The model has no module {point.path!r}.", hint, {"name": point.name, "close": close})
    return [(point, known[point.path]) for point in points]
