"""What training scripts add to the names of a state dict: prefixes of wrappers, counters of profilers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

WRAPPERS = frozenset(
    {"module", "_orig_mod", "model", "_model", "net", "network", "backbone", "encoder", "student", "teacher", "ema"}
    | {"ema_model", "model_ema", "base_model", "averaged_model", "momentum_encoder", "encoder_q", "encoder_k"}
)
"""Attributes that wrappers (DataParallel, torch.compile, Lightning, averages) keep a network under."""

COUNTERS = frozenset({"total_ops", "total_params"})
"""Buffers that thop's profile leaves on every module."""

_AVERAGED = ("ema", "momentum", "teacher", "encoder_k", "averaged")


def counters(names: Iterable[str]) -> set[str]:
    """The names that are counters of a profiler."""
    return {name for name in names if name.rpartition(".")[2] in COUNTERS}


def prefixes_of(names: Collection[str], expected: Collection[str]) -> list[str]:
    """Every prefix, the empty one included, under which `names` hold all of `expected`; the weights before their
    average (**our choice**), shorter prefixes first."""
    anchor = next(iter(expected), "")
    found = {name[: -len(anchor)] for name in names if anchor and name.endswith(anchor)}
    found = {prefix for prefix in found if not prefix or prefix.endswith(".")}
    held = set(names)
    whole = [prefix for prefix in found if all(prefix + name in held for name in expected)]
    return sorted(whole, key=lambda prefix: (any(word in prefix for word in _AVERAGED), len(prefix), prefix))


def known_prefixes(names: Iterable[str]) -> list[str]:
    """The empty prefix and those made of `WRAPPERS` that names begin with, commonest first, longer before shorter."""
    counts: dict[str, int] = {}
    for name in names:
        prefix = ""
        for part in name.split(".")[:-1]:
            if part not in WRAPPERS:
                break
            prefix += f"{part}."
            counts[prefix] = counts.get(prefix, 0) + 1
    return ["", *sorted(counts, key=lambda prefix: (-counts[prefix], -len(prefix)))]


def told(prefix: str, whole: Collection[str] = (), beside: Collection[str] = ()) -> list[str]:
    """Notes on a prefix that was taken off; `whole`: all prefixes under which such a network lies; `beside`: names that
    had none."""
    had_none = f"; {', '.join(sorted(beside)[:5])} had none" if beside else ""
    notes = [f"The prefix {prefix!r} of the names was taken off{had_none}."] if prefix else []
    if len(whole) > 1:
        others = ", ".join(repr(each) for each in whole if each != prefix)
        notes.append(f"The file holds such a network more than once: {prefix!r} was taken, not {others}.")
    return notes


def under(prefix: str, names: Iterable[str]) -> dict[str, str]:
    """Name without the prefix -> name, of those that have it."""
    return {name.removeprefix(prefix): name for name in names if name.startswith(prefix) and name != prefix}
