"""Signatures of files as minisign has them (https://jedisct1.github.io/minisign/), by a key of the service's own.

A signature is Ed25519 of BLAKE2b-512 of the file (algorithm `ED`); a second one covers the first and the trusted
comment. `minisign -Vm manifest.json -p retort.pub` checks it, and so does `retort verify`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SEED_BYTES, ID_BYTES = 32, 8


class SigningKey:
    """An Ed25519 key. Equal content gets equal signatures."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = hashlib.blake2b(self._public, digest_size=ID_BYTES).digest()

    @classmethod
    def of_text(cls, text: str) -> SigningKey:
        """From base64 of 32 random bytes. Raises ValueError for what is none."""
        try:
            seed = base64.b64decode(text.strip(), validate=True)
        except binascii.Error as error:
            raise ValueError("must be base64") from error
        if len(seed) != SEED_BYTES:
            raise ValueError(f"must be base64 of {SEED_BYTES} random bytes")
        return cls(seed)

    @classmethod
    def at(cls, path: Path) -> SigningKey:
        """The key in a file, which is made where there is none, for its owner's eyes alone. Raises OSError, and
        ValueError for a file that holds none."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64encode(os.urandom(SEED_BYTES)))
            try:
                os.link(part, path)  # of two processes that start together one makes the key
            except FileExistsError:
                pass
            finally:
                part.unlink()
        return cls.of_text(path.read_text())

    def public(self) -> str:
        """minisign's public key file."""
        encoded = base64.b64encode(b"Ed" + self.id + self._public).decode()
        return f"untrusted comment: minisign public key {self.id.hex().upper()} of Retort\n{encoded}\n"

    def sign(self, content: bytes, comment: str) -> str:
        """minisign's signature file. `comment`: one line, which is signed too."""
        signature = self._key.sign(hashlib.blake2b(content).digest())
        both = self._key.sign(signature + comment.encode())
        lines = (base64.b64encode(each).decode() for each in (b"ED" + self.id + signature, both))
        first, second = lines
        return f"untrusted comment: signature of Retort\n{first}\ntrusted comment: {comment}\n{second}\n"
