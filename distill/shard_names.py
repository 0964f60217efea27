"""What shards are called: braces counted through, and what no list of them may have. Reads nothing.

A name is a path or an address; what follows `?` in an address is no part of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from distill.errors import InvalidDataset

FORMS = (".tar", ".parquet")
LISTS = (".txt", ".list")
LISTED = ("s3", "hf")
PACKED = (".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz")
MOST = 100_000
LONGEST = 2000
"""Characters of what names shards."""
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_NUMBER = re.compile(r"\d{1,18}(?=\D*$)")
_UNCOUNTED = re.compile(r"\{[^{}]*\}?|\}|(?<=\.tar)::|(?<=\.parquet)::")
_OF_SEVERAL = re.compile(r"(\d{1,18})(-of-\d{1,18})(?![^/]*/)")
"""How the hub's and TensorFlow's writers number files: `train-00003-of-00014-0a1b2c.parquet`."""


def called(texts: Sequence[str], several: str = "The list") -> str:
    """What an error calls that which names shards: the one text, or `several`."""
    return texts[0] if len(texts) == 1 else several


def has_braces(given: str) -> bool:
    return _RANGE.search(given) is not None


def expanded(given: str) -> list[str]:
    """Every `{first..last}` counted through, as wide as its first number is written. Raises `InvalidDataset` for one
    that counts backwards, for other braces, several names in one, and for more than `MOST` names or `LONGEST`
    characters."""
    if len(given) > LONGEST:
        raise InvalidDataset(
            f"{given[:80]!r}... has {len(given):,} characters.", f"Name shards by at most {LONGEST:,} characters."
        )
    _check_counted(given)
    found = _RANGE.search(given)
    if found is None:
        return [given]
    first, last = found[1], found[2]
    count = int(last) - int(first) + 1
    if count < 1 or count > MOST:
        raise InvalidDataset(
            f"{found[0]} counts {'backwards' if count < 1 else f'through more than {MOST:,} shards'}.",
            "Write the first number, two dots and the last one: {000000..001281}.",
            {"shards": given},
        )
    start, rests = given[: found.start()], expanded(given[found.end() :])
    if count * len(rests) > MOST:
        raise _too_many(given, count * len(rests))
    return [f"{start}{number:0{len(first)}d}{rest}" for number in range(int(first), int(last) + 1) for rest in rests]


def _check_counted(given: str) -> None:
    """Raise `InvalidDataset` for an address with what shells and other loaders count through, and this does not."""
    found = _UNCOUNTED.search(_plain(_RANGE.sub("", given))) if "://" in given else None
    if found is not None:
        raise InvalidDataset(
            f"{given!r} has {found[0]!r}, which counts through nothing here.",
            "Count through numbers by {000000..001281}; give other names as a list.",
            {"shards": given},
        )


def gathered(given: str, groups: Iterable[Iterable[str]]) -> list[str]:
    """The names of all groups, in order; no group is asked for once there are more than `MOST` names, which raises
    `InvalidDataset`. `given`: what named them."""
    names: list[str] = []
    for group in groups:
        names += group
        if len(names) > MOST:
            raise _too_many(given, len(names), "or more")
    return names


def in_list(url: str, text: str) -> list[str]:
    """What the lines of the list at an address name: addresses, or names beside the list; blank lines and `# ...` name
    nothing."""
    base = _plain(url).rpartition("/")[0]
    return [line if "://" in line else f"{base}/{line}" for line in lines(text)]


def lines(text: str) -> list[str]:
    """Those of a list that name something: blank ones and `# ...` do not."""
    return [line for each in text.splitlines() if (line := each.strip()) and not line.startswith("#")]


def folder(given: str) -> tuple[str, str]:
    """An address of a folder, as `s3://bucket/photos/train-*.tar`: the folder, which ends with a slash, and the pattern
    (`*`: anything). Raises `InvalidDataset` for `*` elsewhere, and for a folder of what lists nothing."""
    base, _, pattern = given.rpartition("/")
    if "*" in base:
        raise InvalidDataset(
            f"{given[:200]!a} has a * in a folder's name.", "Write * in the last part alone.", {"shards": given}
        )
    if given.partition("://")[0].lower() not in LISTED:
        raise InvalidDataset(
            f"{given[:200]!a} names a folder, and only s3:// and hf:// list what lies in one.",
            "Name the shards by braces, as {000000..001281}.tar, or by a list.",
            {"shards": given},
        )
    return f"{base}/", pattern or "*"


def among(names: Iterable[str], pattern: str) -> list[str]:
    """Of the files in a folder those that fit and are called as shards are, compressed ones too; in their order."""
    fitting = (name for name in sorted(names) if fnmatchcase(name, pattern))
    return [name for name in fitting if is_shard(name) or is_packed(name)]


def is_packed(name: str) -> bool:
    """Whether it is a compressed tar, which is refused by its name."""
    return _plain(name).lower().endswith(PACKED)


def is_shard(name: str) -> bool:
    """Whether it is called as a shard is."""
    return _plain(name).lower().endswith(FORMS)


def check(given: str, names: Sequence[str], *, counted: bool = True) -> None:
    """Raise `InvalidDataset` for no names, too many, one twice, a gap between their numbers, and for what is neither
    tar nor parquet. `given`: what named them; `counted`: whether numbers in their names count shards, and are no part
    of a class's name."""
    if not names:
        raise InvalidDataset(f"{given!r} names no shards.", "Name tar or parquet files.", {"shards": given})
    if len(names) > MOST:
        raise _too_many(given, len(names))
    for name in names:
        _check_form(name)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InvalidDataset(f"Shard {twice!r} is listed twice.", "List each shard once.", {"shard": twice})
    if counted:
        _check_gaps(names)


def _too_many(given: str, count: int, more: str = "") -> InvalidDataset:
    found = f"{count:,} {more}".strip()
    return InvalidDataset(f"{given!r} names {found} shards; {MOST:,} are the most.", "Write larger shards.")


def _check_form(name: str) -> None:
    if is_shard(name):
        return
    remedy = "Unpack it (gunzip): a shard is read in parts." if is_packed(name) else "Name tar or parquet files."
    raise InvalidDataset(f"Shard {name!r} is neither a plain tar nor parquet.", remedy, {"shard": name})


def _check_gaps(names: Iterable[str]) -> None:
    """Names that differ in their last number alone, or in the one before `-of-`, count on by one."""
    groups: dict[tuple[str, str], list[int]] = {}
    for name in names:
        plain = _plain(name)
        if found := _OF_SEVERAL.search(plain):
            groups.setdefault((name[: found.start()], f"{found[2]}*"), []).append(int(found[1]))
        elif found := _NUMBER.search(plain):
            groups.setdefault((name[: found.start()], name[found.end() :]), []).append(int(found[0]))
    for (before, after), numbers in groups.items():
        held = set(numbers)
        missing = [
            number for number in range(min(numbers), min(max(numbers), min(numbers) + MOST)) if number not in held
        ]
        if missing:
            shown = ", ".join(map(str, missing[:5]))
            raise InvalidDataset(
                f"The shards {before}*{after} have a gap: there is none with the number {shown}.",
                "Add what is missing; or, if it is not meant to be there, number the shards anew.",
                {"missing": missing[:20]},
            )


def _plain(name: str) -> str:
    return name.partition("?")[0]
