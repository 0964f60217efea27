"""Files against a signed manifest, without the service: minisign's signature by the service's key, then each sha256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from client.errors import Corrupt

MANIFEST, SIGNATURE = "manifest.json", "manifest.json.minisig"
_COMMENT = "trusted comment: "
_REMEDY = "Download the job's files again, with `retort download`."


@dataclass(frozen=True)
class Verified:
    """`good`, `wrong` and `missing`: names of files as the manifest has them; `beside`: in the folder, but not in the
    manifest."""

    job: str
    good: tuple[str, ...]
    wrong: tuple[str, ...]
    missing: tuple[str, ...]
    beside: tuple[str, ...]


def check_signature(content: bytes, signature: str, public: str) -> str:
    """The trusted comment. Raises `Corrupt` for content that this key did not sign, and for texts that are none."""
    try:
        _, encoded, comment, both = signature.strip().splitlines()
        told, second = base64.b64decode(encoded, validate=True), base64.b64decode(both, validate=True)
        known = base64.b64decode(public.strip().splitlines()[-1], validate=True)
    except (ValueError, IndexError, binascii.Error) as error:
        raise Corrupt("The signature or the key is not as minisign writes them.", _REMEDY) from error
    if (told[:2], known[:2], len(told), len(known)) != (b"ED", b"Ed", 74, 42) or not comment.startswith(_COMMENT):
        raise Corrupt("The signature or the key is not as minisign writes them.", _REMEDY)
    if told[2:10] != known[2:10]:
        raise Corrupt("The manifest was signed with another key.", "Name the key of the service that made the files.")
    key = Ed25519PublicKey.from_public_bytes(known[10:])
    try:
        key.verify(told[10:], hashlib.blake2b(content).digest())
        key.verify(second, told[10:] + comment.removeprefix(_COMMENT).encode())
    except InvalidSignature as error:
        raise Corrupt("The manifest was changed after the service signed it.", _REMEDY) from error
    return comment.removeprefix(_COMMENT)


def verify(path: Path, public: str) -> Verified:
    """A folder of downloaded files, or one file beside its manifest. Raises `Corrupt`, and OSError for files that are
    not there."""
    folder = path if path.is_dir() else path.parent
    content = (folder / MANIFEST).read_bytes()
    check_signature(content, (folder / SIGNATURE).read_text(encoding="utf-8"), public)
    manifest: dict[str, Any] = json.loads(content)
    listed = {Path(each["name"]).name: each for each in manifest["files"]}
    names = list(listed) if path.is_dir() else [path.name]
    found = {name: _digest(folder / name) for name in names}
    good = tuple(name for name in names if found[name] and name in listed and found[name] == listed[name]["sha256"])
    missing = tuple(name for name in names if found[name] is None)
    there = {each.name for each in folder.iterdir() if each.is_file()} if path.is_dir() else set[str]()
    beside = tuple(sorted(there - listed.keys() - {MANIFEST, SIGNATURE}))
    wrong = tuple(name for name in names if name not in good and name not in missing)
    return Verified(manifest["job"], good, wrong, missing, beside)


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
