"""From what names a dataset's shards to the shards' own names: braces, a list, a folder, or a prefix with `*`.

A name is a path of this machine or an address. Nothing is read but names, and the list where one is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distill import shard_names
from distill.errors import InvalidDataset
from distill.modalities.images.shards.addresses import is_address
from distill.modalities.images.shards.listed_elsewhere import named_by
from distill.shard_names import LISTS, expanded, has_braces

ENDING = ".shards"
"""How the file of an index is called (`distill.modalities.images.shards.index`)."""


def names_shards(given: str) -> bool:
    """Whether this is no single file and no folder of images: braces, `*`, an address, a list, an index, or a folder of
    tars."""
    if Path(given).suffix.lower() in (*LISTS, ENDING):
        return True
    if is_address(given) or (has_braces(given) and not Path(given).exists()):
        return True
    folder = Path(given)
    if folder.is_dir():
        return any(folder.glob("*.tar"))
    return "*" in folder.name and not folder.exists()


def listed(given: str, *, counted: bool = True) -> list[str]:
    """The names of all shards, in order. Raises `InvalidDataset` for what no list of shards may have
    (`distill.shard_names.check`), and for one of this machine that is not there; and what asking others for names
    does (`listed_elsewhere.named_by`)."""
    names = [name if is_address(name) else str(Path(name).absolute()) for name in _names(given)]
    shard_names.check(given, names, counted=counted)
    _check_there(given, names)
    return names


def _names(given: str) -> list[str]:
    if is_address(given):
        return named_by(given)
    if "://" in given:
        raise InvalidDataset(
            f"{given[:200]!r} is no path and no address that a command reads.",
            "Name paths, or https://, s3:// or hf:// addresses.",
            {"shards": given},
        )
    if has_braces(given) and not Path(given).exists():
        return expanded(given)
    path = Path(given)
    if path.is_dir():
        return _below(path, "*")
    if path.suffix.lower() in LISTS:
        return _of_list(path)
    if "*" in path.name:
        return _below(path.parent, path.name)
    return [given]


def _below(folder: Path, pattern: str) -> list[str]:
    if not folder.is_dir():
        raise InvalidDataset(f"There is no folder {str(folder)!r}.", "Name the folder that holds the shards.")
    files = (path.name for path in folder.iterdir() if path.is_file())
    return [str(folder / name) for name in shard_names.among(files, pattern)]


def _of_list(path: Path) -> list[str]:
    """One name a line; paths from the list's own folder on."""
    try:
        found = shard_names.lines(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataset(f"The list {path.name!r} cannot be read: {error}.", "Write one shard a line.") from error
    return [name for line in found for name in expanded(line if is_address(line) else str(path.parent / line))]


def _check_there(given: str, names: Iterable[str]) -> None:
    missing = [name for name in names if not is_address(name) and not Path(name).is_file()]
    if missing:
        shown = ", ".join(repr(Path(name).name) for name in missing[:3])
        raise InvalidDataset(
            f"{len(missing)} shards of {given!r} are not there ({shown}).",
            "Add them, or leave them out of what names the shards.",
            {"missing": missing[:20]},
        )
