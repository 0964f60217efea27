"""Files `run-ID.wandb`, which `wandb sync` uploads: records of Weights & Biases' protocol in LevelDB's log format.

The client writes such a file through a program of its own, which no publisher may start (docs/decisions/0024). So it is
written here: seven messages of `wandb_internal.proto` (of wandb 0.31), by field number. Old files must be readable to
new clients, as people upload runs long after they were made.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

OPENING = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
BLOCK, HEAD = 1 << 15, struct.Struct("<IHB")  # checksum of kind and bytes; how many; kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
RECORD = {"num": 1, "history": 2, "summary": 3, "files": 6, "run": 17, "exit": 18, "header": 21}
PRODUCER, OLDEST_READER = "retort", "0.70.0"  # what the client itself asks of a reader
AT_THE_END = 1  # of FilesItem.PolicyType: uploaded when the run has ended
Field = tuple[int, "int | bytes | str"]
"""Number of a field, and its value: an int as a varint, all else with its length before it."""


class WandbFile:
    """A new file. Its methods are called in their order, `history` once a step."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._file.write(OPENING)
        self._at, self._number = len(OPENING), 0
        self._record("header", [(1, _message([(1, PRODUCER), (2, OLDEST_READER)]))])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def run(self, run_id: str, project: str, name: str, config: Mapping[str, Any], started: float) -> None:
        """`started`: seconds since 1970."""
        settings = _message([(1, _item(2, key, value)) for key, value in config.items()])
        began = _message([(1, int(started)), (2, int(started % 1 * 1e9))])
        self._record("run", [(1, run_id), (3, project), (4, settings), (8, name), (17, began)])

    def history(self, step: int, values: Mapping[str, Any]) -> None:
        items: list[Field] = [(1, _item(2, name, value)) for name, value in ({"_step": step} | dict(values)).items()]
        self._record("history", [*items, (2, _message([(1, step)]))])

    def summary(self, values: Mapping[str, Any]) -> None:
        self._record("summary", [(1, _item(2, name, value)) for name, value in values.items()])

    def files(self, names: Sequence[str]) -> None:
        """Files of the folder `files` beside this one."""
        self._record("files", [(1, _message([(1, name), (2, AT_THE_END)])) for name in names])

    def end(self, seconds: float) -> None:
        """The run has succeeded after so many seconds."""
        self._record("exit", [(2, int(seconds))])

    def _record(self, kind: str, fields: Sequence[Field]) -> None:
        self._number += 1
        self._write(_message([(RECORD["num"], self._number), (RECORD[kind], _message(fields))]))

    def _write(self, content: bytes) -> None:
        """In pieces that end where blocks of 32 KiB do."""
        began = True
        while True:
            left = BLOCK - self._at % BLOCK
            if left < HEAD.size:
                self._put(bytes(left))
                continue
            piece, content = content[: left - HEAD.size], content[left - HEAD.size :]
            kind = (FIRST if content else FULL) if began else (MIDDLE if content else LAST)
            self._put(HEAD.pack(zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece)
            if not content:
                return
            began = False

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self._at += len(content)


def _item(field: int, name: str, value: Any) -> bytes:
    """A named value as JSON. `field`: of the name, as a path of one part."""
    return _message([(field, name), (16, json.dumps(value, allow_nan=False))])


def _message(fields: Sequence[Field]) -> bytes:
    """Protocol buffers' wire format."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(_varint(number << 3) + _varint(value))
        else:
            content = value.encode() if isinstance(value, str) else value
            parts.append(_varint(number << 3 | 2) + _varint(len(content)) + content)
    return b"".join(parts)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first. `value` is not negative."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
