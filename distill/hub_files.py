"""Files of datasets on the Hugging Face hub, `hf://datasets/OWNER/NAME@COMMIT/PATH`: the addresses that serve them, and
what the hub lists. Reads nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from distill.errors import InvalidDataset

ENDPOINT = "https://huggingface.co"
PAGE = 1000
"""Files that the hub lists at once."""
_NAME = re.compile(r"datasets/([\w.-]{1,96})/([\w.-]{1,96})@([^/]*)/(.+)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """`path` within the dataset `repository` (OWNER/NAME) at `revision`, a whole commit: a branch could change."""

    repository: str
    revision: str
    path: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Raises `InvalidDataset` for what names no file, and for what is no whole commit."""
        found = _NAME.fullmatch(url.partition("://")[2])
        if found is None:
            raise InvalidDataset("This names no file of the hub.", "Write hf://datasets/OWNER/NAME@REVISION/PATH.")
        owner, name, revision, path = found.groups()
        if not _COMMIT.fullmatch(revision):
            raise InvalidDataset(
                f"{revision[:80]!a} is no pinned revision.", "Give the commit's 40 hex digits, not a branch."
            )
        return cls(f"{owner}/{name}", revision, path)

    def served_at(self, endpoint: str) -> str:
        """The address of the file's bytes, at the hub or a mirror of it."""
        return f"{endpoint}/datasets/{self.repository}/resolve/{self.revision}/{quote(self.path)}"

    def listed_at(self, endpoint: str) -> str:
        """The address that lists the folder which the file lies in."""
        return f"{endpoint}/api/datasets/{self.repository}/tree/{self.revision}/{quote(self._folder)}".rstrip("/")

    def beside(self, listing: bytes, url: str) -> list[str]:
        """Names of the files in the same folder, of what `listed_at` answers; `url`: how an error calls the folder.
        Raises `InvalidDataset` for a listing that cannot be read, and for one that may go on."""
        entries = _entries(listing, url)
        if len(entries) >= PAGE:
            raise InvalidDataset(
                f"{url!r} has {PAGE:,} files or more, which the hub does not list at once.",
                "Name the shards by braces, as train-{00000..01281}.parquet, or by a list.",
            )
        files = [str(entry["path"]) for entry in entries if entry.get("type") == "file"]
        return [name.rpartition("/")[2] for name in files if name.rpartition("/")[0] == self._folder]

    @property
    def _folder(self) -> str:
        return self.path.rpartition("/")[0]


def _entries(listing: bytes, url: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(listing)
        if not isinstance(entries, list) or not all(isinstance(each, dict) and "path" in each for each in entries):
            raise TypeError
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidDataset(f"What the hub lists for {url!r} cannot be read.", "Try again later.") from error
    return entries
