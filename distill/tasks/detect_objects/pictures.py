"""Images by the names that annotations give them. Torch-free."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from distill.data.members import Parts
from distill.data.split_names import split_of
from distill.errors import InvalidDataset
from distill.modalities.images.archives.members import Members
from distill.modalities.images.named_files import Ambiguous, NamedFiles
from distill.modalities.images.paths import File, is_junk
from distill.tasks.detect_objects.written import refuse

MASKS = re.compile(r"segmentation\w*|masks?|\w*_masks?|panoptic\w*|gtfine|ground_?truths?|trimaps?|instances?_?masks?")
"""Folders (in small letters) of pictures that say something of the images and are none."""
LAYOUT = re.compile(r"images?|imgs?|jpegimages|labels?|annotations?|data|frames|photos?|pictures?|\d+")


def is_mask(file: File) -> bool:
    """Whether a picture lies among masks."""
    return any(MASKS.fullmatch(folder.lower()) for folder in file.parts[:-1])


def has_others(members: Members) -> bool:
    """Whether an archive has masks, or images in two or more folders that say neither a split nor a part of a layout:
    these may be classes."""
    images = [file for file in members.files if file.image and not is_junk(file.parts)]
    folders = {file.parts[-2].lower() for file in images if len(file.parts) > 1}
    classes = {name for name in folders if split_of(name) is None and not LAYOUT.fullmatch(name)}
    return len(classes) > 1 or any(map(is_mask, images))


class Pictures:
    """The images of an archive or folder, masks left out."""

    def __init__(self, members: Members) -> None:
        self.files = [
            file for file in members.files if file.image and not is_junk(file.parts) and not is_mask(file)
        ]  # fmt: skip
        self._named = NamedFiles(self.files)
        self._taken: set[int] = set()
        self._stems: dict[str, list[File]] = {}
        for file in self.files:
            self._stems.setdefault(PurePosixPath(file.parts[-1]).stem, []).append(file)

    def find(self, text: str, folder: Parts, split: str | None) -> File | None:
        """The image that annotations in `folder` call `text`: a path from there, or the end of one, with or without
        ending. A path of the machine that wrote the annotations counts by its last part. Raises `InvalidDataset` where
        several images could be meant."""
        last = PurePosixPath(text.replace("\\", "/")).name
        for name in dict.fromkeys((text, last)):
            try:
                if (file := self._named.find(name, folder, split)) is not None:
                    self._taken.add(file.position)
                    return file
            except Ambiguous as error:
                both = f"{error.first!a} or {error.second!a}"
                what = f"the annotations name {text[:200]!a}, which may be {both}"
                refuse(what, "Write each image's path from the archive's root.", image=text[:200])
            except InvalidDataset:  # no path below the archive's root
                continue
        return None

    def beside(self, file: File, stem: str) -> File | None:
        """The image of this stem in the annotation's own folder, or in a folder beside that one: VOC's years stand in
        one archive, and each numbers its images anew. None where there is none, or several."""
        for depth in (len(file.parts) - 1, len(file.parts) - 2):
            found = [
                image for image in self._stems.get(stem, ()) if depth >= 0 and image.parts[:depth] == file.parts[:depth]
            ]
            if len(found) == 1:
                self._taken.add(found[0].position)
                return found[0]
        return None

    def unused(self) -> list[str]:
        """Paths of images that nobody has asked for."""
        return ["/".join(file.parts) for file in self.files if file.position not in self._taken]
