"""Which students a budget may choose among: chains of networks, each larger than the one before. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from distill.errors import InvalidConfig, UnknownName
from distill.language_families import FAMILIES
from distill.pruned import FAMILY as PRUNED
from distill.pruned import Pruning, rounded_down
from distill.tasks import accepting
from distill.types import Architecture

#: Of networks that have a width: a step is an eighth to a third more (our choice).
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256)
#: Of a language model, in blocks; the teacher's own number is the last.
DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
#: Of a language model, in shares of the teacher's width.
SHARES = (1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 1.0)
#: Of a language model's heads and hidden units, where they are cut out of its blocks.
PARTS = (1 / 4, 1 / 2, 3 / 4, 1.0)
#: Tokens of a language model's own vocabulary.
VOCABULARIES = (1_000, 2_000, 4_000, 8_000, 16_000)
MOST_CHAINS = 150
OWN = "retort:"


@dataclass(frozen=True, slots=True)
class Chain:
    """Networks of one family that differ in one size, the smallest first."""

    family: str
    members: tuple[Architecture, ...]


def chains(task: str, entries: Sequence[Mapping[str, Any]], families: Sequence[str] | None) -> list[Chain]:
    """The catalogue's networks of pictures that answer the task. `entries`: of the catalogue of architectures;
    `families`: `library:family` or names, None: ours. Raises `UnknownName` for one that there is not, its `details`
    with its place in the list as `number`."""
    fit = [entry for entry in entries if task in accepting(entry["name"])]
    if families is None:
        return [_chain(entry) for entry in fit if entry["name"].startswith(OWN)]
    wanted = [entry for number, family in enumerate(families) for entry in _named(fit, family, number)]
    return [_chain(entry) for entry in {entry["name"]: entry for entry in wanted}.values()]


def family_of(entry: Mapping[str, Any]) -> str:
    """`library:family`."""
    return f"{entry['library']}:{entry.get('family', '')}"


def _named(entries: Sequence[Mapping[str, Any]], family: str, number: int) -> list[Mapping[str, Any]]:
    found = [entry for entry in entries if family in (entry["name"], family_of(entry))]
    if not found:
        raise unknown(family, number, [*map(family_of, entries), *(entry["name"] for entry in entries)])
    return found


def unknown(family: str, number: int, known: Sequence[str]) -> UnknownName:
    """The refusal of a family that the task does not have."""
    near = get_close_matches(family, list(dict.fromkeys(known)), n=5, cutoff=0.4)
    error = UnknownName("family of students", family, near or sorted(dict.fromkeys(known))[:20])
    error.details |= {"number": number}
    return error


def _chain(entry: Mapping[str, Any]) -> Chain:
    """By width, where the network has that option; else the network alone."""
    width = (entry.get("options") or {}).get("width")
    if width is None:
        return Chain(family_of(entry), (Architecture(name=entry["name"]),))
    widths = [each for each in WIDTHS if width["minimum"] <= each <= width["maximum"]]
    return Chain(family_of(entry), tuple(Architecture(name=entry["name"], options={"width": each}) for each in widths))


def shrunk(teacher: Mapping[str, Any], name: str, reduced: bool = False) -> Iterator[Chain]:
    """A language model's smaller ones: a chain of widths for each depth, and where the vocabulary may be `reduced` for
    each depth and vocabulary. `teacher`: the inspection's report, with `layers`, `width` and `heads`; one of an earlier
    release does not tell how far its vocabulary reduces, and keeps it. `name`: of the student's architecture."""
    least = teacher.get("smallest_vocabulary", 0) if reduced else 0
    smaller = [each for each in VOCABULARIES if least and least <= each < teacher["vocabulary"]]
    layers, width, head = teacher["layers"], teacher["width"], max(1, teacher["width"] // teacher["heads"])
    widths = sorted({max(head, round(share * width / head) * head) for share in SHARES})
    for depth in _depths(layers):
        sizes = [(depth, each) for each in widths if (depth, each) != (layers, width)]
        options = [{"layers": depth, "width": each} for depth, each in sizes]
        yield Chain(name, tuple(Architecture(name=name, options=each) for each in options))
        for size in smaller:
            own = [{"layers": depth, "width": each, "vocab_size": size} for each in widths]
            yield Chain(name, tuple(Architecture(name=name, options=each) for each in own))


def cut(teacher: Mapping[str, Any], name: str) -> Iterator[Chain]:
    """What can be cut out of a language model as wide as it is, so that it starts from its weights: a chain of shares
    of its hidden units, and of its heads where its family has fewer of the same width, for each depth. Of heads that
    share keys and values those that share them go together. Arguments as of `shrunk`."""
    parts = _Parts.of(teacher)
    for depth in _depths(teacher["layers"]):
        members = list[dict[str, Any]]()
        for share in PARTS:
            options = {"layers": depth} | parts.left(share)
            if options not in members and (depth, share) != (teacher["layers"], 1):
                members.append(options)
        yield Chain(PRUNED, tuple(Architecture(name=name, options=each) for each in members))


def cut_by(teacher: Mapping[str, Any], name: str, how: Pruning) -> Architecture:
    """One of these: without `how.ratio` of its hidden units and heads, and `how.blocks` of its blocks. At least one
    block, one group of heads and `round_to` hidden units stay. Raises `InvalidConfig` where nothing goes."""
    layers, parts = teacher["layers"], _Parts.of(teacher)
    options = {"layers": layers if how.blocks is None else max(1, rounded_down(layers * (1 - how.blocks)))}
    if how.ratio is not None:
        options |= parts.left(1 - how.ratio, how.round_to, round_=rounded_down)
    whole = {"layers": layers} | parts.left(1)
    if whole | options == whole:
        raise InvalidConfig(
            f"That removes nothing of this {teacher['family']} of {layers} blocks and {parts.inner} hidden units.",
            "Remove a larger share, or lower round_to.",
            {"field": "student", "layers": layers, "inner": parts.inner},
        )
    return Architecture(name=name, options=options)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a block of a language model can lose: hidden units, and where its family has fewer heads of the same width
    (`wide`; else None) heads, `unit` of them at a time: those that share keys and values."""

    inner: int
    heads: int
    unit: int
    wide: int | None

    @classmethod
    def of(cls, teacher: Mapping[str, Any]) -> _Parts:
        family, config, heads = FAMILIES[teacher["family"]], teacher["config"], teacher["heads"]
        keys = int(config.get("num_key_value_heads") or heads)
        wide = int(config.get("head_dim") or teacher["width"] // heads)
        inner = int(config.get(family.inner) or 4 * teacher["width"])
        return cls(inner, heads, heads // keys if keys > 1 else 1, wide if family.own_head_width else None)

    def left(self, share: float, step: int = 1, round_: Callable[[float], int] = round) -> dict[str, Any]:
        """Options of a student with this share of them. `step`: what its hidden units are a multiple of."""
        units = round_(share * self.inner)
        found: dict[str, Any] = {"inner": min(self.inner, max(step, units - units % step))}
        if self.wide is not None:
            found |= {"heads": max(1, round_(share * self.heads / self.unit)) * self.unit, "head_width": self.wide}
        return found


def _depths(layers: int) -> list[int]:
    return sorted({*(each for each in DEPTHS if each < layers), layers})
