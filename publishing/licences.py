"""Licences of what a student was made of, as the hub's cards name them, and which of them clash.

A small table, and no lawyer: it knows families by what they ask of works that are made from theirs. Whether a student
is such a work is open; the card tells what is known and leaves the choice of a licence to its owner. What is not in
the table is said to be unknown and judged by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

Family = Literal["permissive", "share-alike", "non-commercial", "no derivatives", "own terms", "unknown"]
_SPDX: dict[Family, tuple[str, ...]] = {
    "permissive": (
        "MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "ISC", "Zlib", "CC0-1.0",
        "CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "Unlicense", "WTFPL", "AFL-3.0", "PDDL-1.0", "ODC-By-1.0",
        "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "MS-PL", "PostgreSQL", "NCSA", "BSL-1.0",
    ),
    "share-alike": (
        "GPL-2.0", "GPL-3.0", "AGPL-3.0", "LGPL-2.1", "LGPL-3.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "ODbL-1.0",
        "EUPL-1.1", "EUPL-1.2", "OSL-3.0", "CDLA-Sharing-1.0", "GFDL-1.3",
    ),
    "non-commercial": (
        "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0",
    ),
    "no derivatives": ("CC-BY-ND-4.0", "CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0"),
}  # fmt: skip
#: Names of the hub that SPDX has not: licences with terms of use of their own.
_OWN = ("openrail", "openrail++", "creativeml-openrail-m", "bigscience-openrail-m", "bigscience-bloom-rail-1.0",
        "bigcode-openrail-m", "bigcode-openrail-m1", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
        "gemma", "deepfloyd-if-license", "apple-ascl", "apple-amlr", "fair-noncommercial-research-license")  # fmt: skip
_KNOWN: dict[str, tuple[str, Family]] = {
    **{name.lower(): (name, family) for family, names in _SPDX.items() for name in names},
    **{name: (name, "own terms") for name in _OWN},
}
_RESTRICTING: frozenset[Family] = frozenset({"non-commercial", "no derivatives", "own terms"})


@dataclass(frozen=True)
class Licence:
    """Of one source. `whose`: "teacher owner/name"; `spdx`: SPDX's identifier, or the hub's word where SPDX has none;
    None where the card names none."""

    whose: str
    spdx: str | None
    family: Family


def licence(whose: str, named: str | None) -> Licence:
    """`named`: as a card of the hub writes it."""
    word = (named or "").strip()
    unknown: tuple[str | None, Family] = (word or None, "unknown")
    spdx, family = _KNOWN.get(word.lower(), unknown)
    return Licence(whose, spdx, family)


def warnings(found: Sequence[Licence]) -> list[str]:
    """What clashes, and what restricts, a sentence each."""
    said = [
        f"{each.whose} is under {each.spdx}, which allows no derivatives: a student may be one."
        for each in found
        if each.family == "no derivatives"
    ]
    for one, other in combinations(found, 2):
        if one.spdx != other.spdx and _clash(one.family, other.family):
            said.append(
                f"The licences clash: {one.whose} is under {one.spdx} ({one.family}), {other.whose} under {other.spdx} "
                f"({other.family}). What one demands of a work made from both the other does not allow."
            )
    return said


def _clash(one: Family, other: Family) -> bool:
    """A work under share-alike is to have that very licence, so nothing that restricts further, nor another such one,
    goes with it."""
    both = {one, other}
    return "share-alike" in both and (both == {"share-alike"} or bool(both & _RESTRICTING))


def common(found: Sequence[Licence]) -> str | None:
    """The one licence that all sources have; None where they differ or one is not known."""
    names = {each.spdx for each in found if each.family != "unknown"}
    return names.pop() if len(names) == 1 and all(each.family != "unknown" for each in found) else None


def section(found: Sequence[Licence]) -> str:
    """The card's section, in Markdown; empty where nothing came from the hub."""
    if not found:
        return ""
    rows = [f"| {each.whose} | {each.spdx or 'not named'} | {each.family} |" for each in found]
    notes = [f"> **Warning.** {line}\n" for line in warnings(found)]
    table = "\n".join(["| source | licence | kind |", "|---|---|---|", *rows])
    return "\n".join(["## Licences of what it was made of\n", table, "", *notes])
