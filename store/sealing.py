"""What the database keeps and must not be able to read: AES-256-GCM by a key of the operator's.

sealed = id "." base64(nonce || ciphertext || tag), with a nonce of 12 random bytes and a tag of 16. `id`: the first 8
hex digits of BLAKE2b of the key. The owner ("tnt_1/hub") is authenticated with it, so a row that is copied to another
tenant's name does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from distill.errors import RetortError

T = TypeVar("T")
KEY_BYTES, NONCE_BYTES = 32, 12
REMEDY = "Have the operator set RETORT_SECRETS_KEY to the key that sealed it, or store the secret again."


class SealBroken(RetortError):
    """No key of this service opens it, or it was sealed for another owner."""

    code = "secret_unreadable"


class Sealer:
    """Seals by the first key and opens by all of them, so a key is replaced by putting a new one before it. `first`:
    the id of the first, with which all that it seals begins."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = {_id(key): AESGCM(key) for key in keys}
        self.first = _id(keys[0])

    @classmethod
    def of_text(cls, text: str) -> Sealer:
        """From keys with commas between, each base64 of 32 random bytes. Raises ValueError, without the text."""
        return cls([_key(each.strip()) for each in text.split(",")])

    def seal(self, content: bytes, owner: str) -> str:
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._keys[self.first].encrypt(nonce, content, owner.encode())
        return f"{self.first}.{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, owner: str) -> bytes:
        """Raises `SealBroken`."""
        name, _, encoded = sealed.partition(".")
        key = self._keys.get(name)
        if key is None:
            raise SealBroken("The secret was sealed by a key that this service does not have.", REMEDY)
        try:
            raw = base64.b64decode(encoded, validate=True)
            return key.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], owner.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealBroken("The secret is damaged, or was sealed for another owner.", REMEDY) from error


def _id(key: bytes) -> str:
    return hashlib.blake2b(key, digest_size=4, person=b"retort secrets").hexdigest()


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"must be base64 of {KEY_BYTES} random bytes")
    return key


def each_opened(rows: Iterable[T], seal: Callable[[T], None]) -> int:
    """`seal` each of the rows but those whose seal no key opens; how many were sealed."""
    done = 0
    for row in rows:
        with suppress(SealBroken):
            seal(row)
            done += 1
    return done
