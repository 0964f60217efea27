"""Classes in files beside the images, as WebDataset writes them: `a/0001.cls` says what `a/0001.jpg` is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from distill.data.labelled import Columns, label_of
from distill.data.members import Parts
from distill.data.row_checks import Row, refuse
from distill.modalities.images.archives.members import Members, content
from distill.modalities.images.paths import File, is_junk

ENDING = "cls"
COLUMNS = Columns("file_name", "label", None)
_LABEL_BYTES = 2**20


def rows_beside(members: Members) -> Iterator[Row] | None:
    """A row an image, with the class that the file beside it says, None where there is none; None where no image has
    such a file. Raises `InvalidDataset` for one that holds no text."""
    files = [file for file in members.files if not is_junk(file.parts)]
    said = {_key(file): file for file in files if _ending(file) == ENDING and not file.image and file.position >= 0}
    images = [file for file in files if file.image and "." not in _ending(file)]  # `0001.seg.png` is a mask beside it
    return _rows(members, images, said) if any(_key(file) in said for file in images) else None


def _rows(members: Members, images: Iterable[File], said: dict[Parts, File]) -> Iterator[Row]:
    for file in images:
        found = said.get(_key(file))
        yield {COLUMNS.image: "/".join(file.parts), "label": None if found is None else _class(members, found)}


def _class(members: Members, file: File) -> str | None:
    try:
        data = content(members, file)
        text = data.decode("utf-8") if len(data) < _LABEL_BYTES else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        name = "/".join(file.parts)
        refuse(f"{name} holds no text", "Write a number or a name into it.", member=name)
    return label_of(text)


def _key(file: File) -> Parts:
    """The path up to the first dot of the file's name."""
    return (*file.parts[:-1], file.parts[-1].partition(".")[0])


def _ending(file: File) -> str:
    return file.parts[-1].partition(".")[2].lower()
