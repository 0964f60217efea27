"""Files of this machine by braces (`photos-{000..127}.tar`) or a `*` in their name, as the shards of a dataset have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from client.errors import NotThere

MOST = 1024
"""Files that one role of a dataset may have."""
_RANGE = re.compile(r"\{(\d{1,18})\.\.(\d{1,18})\}")
Given = str | Path | Sequence[str | Path]


def names_several(given: str | Path) -> bool:
    """Whether it is a pattern, and no path of a file or folder."""
    return not Path(given).exists() and ("*" in Path(given).name or _RANGE.search(str(given)) is not None)


def files_of(given: Given) -> Path | list[Path]:
    """The one path that is given alone; else the files of all, in order, a pattern's by number or name. Raises
    `NotThere` for a pattern without files, a file that is not there or named twice, and more than `MOST`."""
    texts = [given] if isinstance(given, str | Path) else list(given)
    if len(texts) == 1 and not names_several(texts[0]):
        return Path(texts[0])
    found = [path for text in texts for path in _of(text)]
    if len(found) > MOST:
        raise NotThere(f"{len(found):,} files are named; {MOST:,} are the most.", "Join them into larger ones.")
    _check(found)
    return found


def _of(given: str | Path) -> list[Path]:
    if not names_several(given):
        return [Path(given)]
    text = str(given)
    if _RANGE.search(text):
        return [Path(name) for name in _counted(text)]
    found = sorted(path for path in Path(text).parent.glob(Path(text).name) if path.is_file())
    if not found:
        raise NotThere(f"No file is called {text}.", "Look at the folder and at the name.")
    return found


def _counted(text: str) -> list[str]:
    found = _RANGE.search(text)
    if found is None:
        return [text]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + MOST:
        raise NotThere(
            f"{found[0]} counts {'backwards' if last < first else f'through more than {MOST:,} files'}.",
            "Write the first number, two dots and the last one: {000..127}.",
        )
    rests = _counted(text[found.end() :])
    width, start = len(found[1]), text[: found.start()]
    return [f"{start}{number:0{width}d}{rest}" for number in range(first, last + 1) for rest in rests]


def _check(paths: Iterable[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if not path.is_file():
            raise NotThere(f"There is no file {path}.", "Add it, or leave it out of what names the files.")
        if path.resolve() in seen:
            raise NotThere(f"{path} is named twice.", "Name each file once.")
        seen.add(path.resolve())
