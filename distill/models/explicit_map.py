"""Which tensor of one network becomes which of another, by prefixes of their names that the user gives."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from distill.errors import InvalidConfig

SHOWN = 5


def mapped(
    ours: Iterable[str], theirs: Collection[str], named: Mapping[str, str], heads: Collection[str] = ()
) -> dict[str, str]:
    """Name in the network -> name in the source. `named`: prefix in the network -> prefix in the source; a prefix ends
    at a dot or is a whole name, "" stands for all. Of several that fit a name the longest counts. Tensors in `heads`,
    the classifier's, are left to a prefix that names nothing else. Raises `InvalidConfig` for prefixes that one of the
    networks has not, by name."""
    own = list(ours)
    _check(own, theirs, named)
    classifiers = {prefix for prefix in named if all(name in heads for name in _under(prefix, own))}
    found: dict[str, str] = {}
    for name in own:
        prefix = max((each for each in named if _begins(name, each)), key=len, default=None)
        if prefix is None or (name in heads and prefix not in classifiers):
            continue
        there = _moved(name, prefix, named[prefix])
        if there in theirs:
            found[name] = there
    return found


def _check(own: Collection[str], theirs: Collection[str], named: Mapping[str, str]) -> None:
    sides = (("the student's", named.keys(), own), ("the weights'", named.values(), theirs))
    for whose, prefixes, names in sides:
        unknown = [prefix for prefix in prefixes if not _under(prefix, names)]
        if unknown:
            first = sorted({name.partition(".")[0] for name in names})
            raise InvalidConfig(
                f"The map names prefixes that are none of {whose}: {', '.join(map(repr, unknown[:SHOWN]))}.",
                f"Those are {', '.join(first[:20])} and what follows them: give whole parts of names, as between dots.",
                {"field": "student", "prefixes": unknown[:50]},
            )


def _under(prefix: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if _begins(name, prefix)]


def _begins(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(f"{prefix.removesuffix('.')}.")


def _moved(name: str, prefix: str, there: str) -> str:
    rest = name.removeprefix(prefix.removesuffix(".")).removeprefix(".")
    return ".".join(part for part in (there.removesuffix("."), rest) if part)
