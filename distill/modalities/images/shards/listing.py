"""From what names a dataset's shards to the shards' own names: braces, a list, a folder, or a prefix with `*`.

A name is a path of this machine or an `https://` address. Nothing is read but names, and the list where one is given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from distill.errors import InvalidDataset

FORMS = (".tar", ".parquet")
LISTS = (".txt", ".list")
ENDING = ".shards"
"""How the file of an index is called (`distill.modalities.images.shards.index`)."""
MOST = 100_000
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_NUMBER = re.compile(r"\d+(?=\D*$)")
_WEB = re.compile(r"https?://", re.IGNORECASE)
_PACKED = (".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz")


def is_web(name: str) -> bool:
    return _WEB.match(name) is not None


def names_shards(given: str) -> bool:
    """Whether this is no single file and no folder of images: braces, `*`, an address, a list, an index, or a folder of
    tars."""
    if Path(given).suffix.lower() in (*LISTS, ENDING):
        return True
    if is_web(given) or (_RANGE.search(given) and not Path(given).exists()):
        return True
    folder = Path(given)
    if folder.is_dir():
        return any(folder.glob("*.tar"))
    return "*" in folder.name and not folder.exists()


def listed(given: str) -> list[str]:
    """The names of all shards, in order. Raises `InvalidDataset` for none, too many, one twice, a gap between their
    numbers, and for what is neither tar nor parquet."""
    names = [name if is_web(name) else str(Path(name).absolute()) for name in _names(given)]
    if not names:
        raise InvalidDataset(f"{given!r} names no shards.", "Name tar or parquet files.", {"shards": given})
    if len(names) > MOST:
        raise InvalidDataset(f"{given!r} names {len(names):,} shards, more than {MOST:,}.", "Write larger shards.")
    for name in names:
        _check_form(name)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InvalidDataset(f"Shard {twice!r} is listed twice.", "List each shard once.", {"shard": twice})
    _check_there(given, names)
    _check_gaps(names)
    return names


def _names(given: str) -> list[str]:
    if _RANGE.search(given) and not Path(given).exists():
        return _expanded(given)
    if is_web(given):
        return [given]
    path = Path(given)
    if path.is_dir():
        return _below(path, "*")
    if path.suffix.lower() in LISTS:
        return _of_list(path)
    if "*" in path.name:
        return _below(path.parent, path.name)
    return [given]


def _expanded(given: str) -> list[str]:
    """Every `{first..last}` counted through, as wide as its first number is written."""
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
    start, end = given[: found.start()], given[found.end() :]
    rests = _expanded(end)
    return [f"{start}{number:0{len(first)}d}{rest}" for number in range(int(first), int(last) + 1) for rest in rests]


def _below(folder: Path, pattern: str) -> list[str]:
    if not folder.is_dir():
        raise InvalidDataset(f"There is no folder {str(folder)!r}.", "Name the folder that holds the shards.")
    files = sorted(path for path in folder.glob(pattern) if path.is_file())
    return [str(path) for path in files if path.name.lower().endswith((*FORMS, *_PACKED))]


def _of_list(path: Path) -> list[str]:
    """One name a line; paths from the list's own folder on."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataset(f"The list {path.name!r} cannot be read: {error}.", "Write one shard a line.") from error
    found = [line for line in lines if line and not line.startswith("#")]
    return [name for line in found for name in _expanded(line if is_web(line) else str(path.parent / line))]


def _check_form(name: str) -> None:
    plain = name.partition("?")[0].lower()
    if plain.endswith(FORMS):
        return
    remedy = (
        "Unpack it (gunzip): a shard is read in parts." if plain.endswith(_PACKED) else "Name tar or parquet files."
    )
    raise InvalidDataset(f"Shard {name!r} is neither a plain tar nor parquet.", remedy, {"shard": name})


def _check_there(given: str, names: Iterable[str]) -> None:
    missing = [name for name in names if not is_web(name) and not Path(name).is_file()]
    if missing:
        shown = ", ".join(repr(Path(name).name) for name in missing[:3])
        raise InvalidDataset(
            f"{len(missing)} shards of {given!r} are not there ({shown}).",
            "Add them, or leave them out of what names the shards.",
            {"missing": missing[:20]},
        )


def _check_gaps(names: Iterable[str]) -> None:
    """Names that differ in their last number alone count on by one."""
    groups: dict[tuple[str, str], list[int]] = {}
    for name in names:
        if found := _NUMBER.search(name.partition("?")[0]):
            groups.setdefault((name[: found.start()], name[found.end() :]), []).append(int(found[0]))
    for (before, after), numbers in groups.items():
        held = set(numbers)
        missing = [
            number for number in range(min(numbers), min(max(numbers), min(numbers) + MOST)) if number not in held
        ]
        if missing:
            shown = ", ".join(map(str, missing[:5]))
            raise InvalidDataset(
                f"The shards {Path(before).name}*{after} have a gap: there is none with the number {shown}.",
                "Add what is missing; or, if it is not meant to be there, number the shards anew.",
                {"missing": missing[:20]},
            )
