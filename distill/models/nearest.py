"""Which other architecture a file's tensors fit, for the refusal of the one that was named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import SequenceMatcher

from distill.errors import InvalidConfig, InvalidTeacher
from distill.models.build import skeleton
from distill.models.names import family, names, resolve
from distill.types import Architecture

MOST = 32  # architectures that are tried: each is a fraction of a second
_ALIKE = 0.3  # of the names that the architecture expects, for its family to be searched


def nearest(architecture: Architecture, found: Iterable[str], fits: Callable[[Architecture], object]) -> str | None:
    """The first architecture, without options, for which `fits` raises nothing and whose names are all in the file;
    None where none of those tried does.

    Tried are the namesakes in the other libraries, and where the names `found` are like the architecture's own, its
    family in its library, nearest name first, at most `MOST`.
    """
    held = set(found)
    for name in _candidates(architecture, held):
        other = Architecture(name=name)
        try:
            if set(skeleton(other, 7).state_dict()) <= held:
                fits(other)
                return name
        except (InvalidTeacher, InvalidConfig):
            continue
    return None


def _candidates(architecture: Architecture, held: set[str]) -> list[str]:
    own = resolve(architecture.name)
    base = own.name.partition(".")[0]
    others = [name for name in names() if name.partition(":")[2] == base and name != f"{own.library}:{base}"]
    if architecture.options:
        others.insert(0, str(own))
    expected = set(skeleton(architecture, 7).state_dict())
    if len(expected & held) < _ALIKE * len(expected):
        return others
    alike = family(str(own))
    kin = [
        n for n in names() if n.startswith(f"{own.library}:") and n != f"{own.library}:{base}" and family(n) == alike
    ]
    kin.sort(key=lambda name: -SequenceMatcher(None, name.partition(":")[2], base).ratio())
    return [*others, *kin][:MOST]
