"""Files of an archive by the names that a table gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from distill.data.limits import DEFAULT
from distill.data.members import Parts, safe_parts
from distill.data.split_names import splits_among
from distill.errors import InvalidDataset
from distill.modalities.images.paths import File, is_junk


class Ambiguous(Exception):
    """A name that several files have; their paths."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}, {second}")
        self.first, self.second = first, second


class NamedFiles:
    """Images by path, by the end of a path, and by either without its ending."""

    def __init__(self, files: Iterable[File]) -> None:
        self._present = {file.parts: file for file in files if file.position >= 0}
        images = [file for file in self._present.values() if file.image and not is_junk(file.parts)]
        self.count = len(images)
        self._ends: dict[str, list[File]] = {}
        self._said: Mapping[str, str] = {
            name: meaning.split
            for name, meaning in splits_among({part for file in images for part in file.parts[:-1]}).items()
        }
        for file in images:
            for name in {file.parts[-1], PurePosixPath(file.parts[-1]).stem}:
                self._ends.setdefault(name, []).append(file)

    def names_one(self, value: object, folder: Parts) -> bool:
        """Whether a cell names an image, or several of which the split tells which."""
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            return False
        try:
            return self.find(str(value), folder, None) is not None
        except Ambiguous:
            return True
        except InvalidDataset:  # no safe path
            return False

    def find(self, text: str, folder: Parts, split: str | None) -> File | None:
        """The file that `text` names for a table in `folder`: by its path from there, else by the end of its path, with
        or without ending; of several the one in a folder of the row's `split`. Raises `Ambiguous`, and `InvalidDataset`
        for paths that leave the archive."""
        parts = safe_parts(text.strip() if "/" in text else text.strip().replace("\\", "/"), DEFAULT)
        if not parts:
            return None
        if (exact := self._present.get((*folder, *parts))) is not None:
            return exact
        ends = [
            file
            for file in self._ends.get(parts[-1], ())
            if file.parts[:-1][-len(parts) + 1 :] == parts[:-1] or len(parts) == 1
        ]
        whole = [file for file in ends if file.parts[-1] == parts[-1]] or ends
        return _only(whole, [file for file in whole if split in map(self._said.get, file.parts[:-1])])


def _only(found: list[File], of_split: list[File]) -> File | None:
    if len(found) > 1 and len(of_split) == 1:
        return of_split[0]
    if len(found) > 1:
        first, second = sorted("/".join(file.parts) for file in found)[:2]
        raise Ambiguous(first, second)
    return found[0] if found else None
