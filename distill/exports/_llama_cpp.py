"""llama.cpp as the package xllamacpp has it: a file's logits for every token, its own tokens of a text, greedy answers.

The package's Python interface is llama.cpp's server, which tells the probabilities of one token a request. Its library
exports llama.cpp's C interface (`llama.h`) too, which is called here. Of the parameters, which grow from release to
release, only the four numbers are written that have stood first since 2024; the rest stays as llama.cpp makes it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int8, c_int32, c_uint8, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
import torch
from torch import Tensor

PACKAGE = "xllamacpp"
CELLS = 4096
"""Tokens of all sequences that are computed together, at most, unless one sequence is longer (**our choice**)."""
TOGETHER = 32
"""Sequences that are computed together, at most."""
_PADDED = 256  # llama.cpp rounds the room of a sequence up to this
_ERROR = 4  # ggml_log_level
_ROOM = 1024  # bytes kept for a structure of parameters: twice what any has


class _Parameters(ctypes.Structure):
    """`llama_context_params` or `llama_model_params`, of which the first bytes are known."""

    _fields_ = (
        ("n_ctx", c_uint32), ("n_batch", c_uint32), ("n_ubatch", c_uint32), ("n_seq_max", c_uint32),
        ("rest", c_uint8 * (_ROOM - 16)),
    )  # fmt: skip


class _Batch(ctypes.Structure):
    """`llama_batch`."""

    _fields_ = (
        ("n_tokens", c_int32), ("token", POINTER(c_int32)), ("embd", POINTER(c_float)), ("pos", POINTER(c_int32)),
        ("n_seq_id", POINTER(c_int32)), ("seq_id", POINTER(POINTER(c_int32))), ("logits", POINTER(c_int8)),
    )  # fmt: skip


_Log = ctypes.CFUNCTYPE(None, ctypes.c_int, c_char_p, c_void_p)
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "llama_log_set": (None, (_Log, c_void_p)),
    "llama_model_default_params": (_Parameters, ()),
    "llama_context_default_params": (_Parameters, ()),
    "llama_model_load_from_file": (c_void_p, (c_char_p, _Parameters)),
    "llama_model_free": (None, (c_void_p,)),
    "llama_model_get_vocab": (c_void_p, (c_void_p,)),
    "llama_init_from_model": (c_void_p, (c_void_p, _Parameters)),
    "llama_free": (None, (c_void_p,)),
    "llama_n_ctx": (c_uint32, (c_void_p,)),
    "llama_n_batch": (c_uint32, (c_void_p,)),
    "llama_n_seq_max": (c_uint32, (c_void_p,)),
    "llama_set_n_threads": (None, (c_void_p, c_int32, c_int32)),
    "llama_get_memory": (c_void_p, (c_void_p,)),
    "llama_memory_clear": (None, (c_void_p, c_bool)),
    "llama_vocab_n_tokens": (c_int32, (c_void_p,)),
    "llama_tokenize": (c_int32, (c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool)),
    "llama_decode": (c_int32, (c_void_p, _Batch)),
    "llama_get_logits": (POINTER(c_float), (c_void_p,)),
}
_said = threading.local()


class LlamaCppError(RuntimeError):
    """What llama.cpp said."""


def _hear(level: int, text: bytes | None, _: Any) -> None:
    """llama.cpp writes to stderr else; the first error, which names the cause, is kept for who called it."""
    if level == _ERROR and text and not getattr(_said, "first", ""):
        _said.first = text.decode("utf-8", "replace").strip()


_log = _Log(_hear)  # kept: llama.cpp holds no reference to it


@cache
def library() -> Any:
    """The C interface. Raises `LlamaCppError` for a release of the package that lacks a part of it."""
    from xllamacpp import xllamacpp

    found = ctypes.CDLL(xllamacpp.__file__)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(found, name, None)
        if function is None:
            raise LlamaCppError(f"this release of {PACKAGE} has no {name}")
        function.restype, function.argtypes = result, arguments
    found.llama_log_set(_log, None)
    found.llama_backend_init()
    return found


class LlamaCpp:
    """A GGUF file, on the CPU. Its key-value cache has 16 bits, as llama.cpp has it where nothing is said."""

    def __init__(self, path: Path, threads: int) -> None:
        """Raises `LlamaCppError` for a file that llama.cpp does not read."""
        self._lib, self._threads = library(), threads
        self._model = _Model(self._lib, path)
        self._vocabulary = self._lib.llama_model_get_vocab(self._model.own)
        self.tokens = int(self._lib.llama_vocab_n_tokens(self._vocabulary))
        self._context: _Context | None = None

    def tokenise(self, text: str, whole: bool = False) -> list[int]:
        """The file's own tokens, special ones that the text names among them; of a `whole` prompt also those that are
        put around it."""
        given = text.encode()
        room = (c_int32 * (len(given) + 8))()
        count = self._lib.llama_tokenize(self._vocabulary, given, len(given), room, len(room), whole, True)
        if count < 0:
            raise LlamaCppError(f"llama.cpp makes {-count} tokens of {len(given)} bytes")
        return list(room[:count])

    def logits(self, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[bool]]) -> Tensor:
        """(m, V) float32: after each token of the rows that is `wanted`, row by row."""
        parts = list[Tensor]()
        for some in _parts([len(row) for row in rows]):
            context = self._room(len(some), max(len(rows[i]) for i in some))
            at = [(rows[i][t], t, number, wanted[i][t]) for number, i in enumerate(some) for t in range(len(rows[i]))]
            parts.append(context.decode(at, self.tokens) if at else torch.empty(0, self.tokens))
        return torch.cat([torch.empty(0, self.tokens), *parts])

    def greedy(self, rows: Sequence[Sequence[int]], count: int, end: int | None) -> list[list[int]]:
        """The most probable tokens after each row, one by one: at most `count`, and none after `end`, which is told.
        None after a row without tokens."""
        found: list[list[int]] = [[] for _ in rows]
        for some in _parts([len(row) + count for row in rows]):
            context = self._room(len(some), max(len(rows[i]) for i in some) + count)
            going = [(n, i) for n, i in enumerate(some) if rows[i]]
            at = [(token, t, n, t == len(rows[i]) - 1) for n, i in going for t, token in enumerate(rows[i])]
            for step in range(count if going else 0):
                chosen = context.decode(at, self.tokens).argmax(1).tolist()
                for (_, i), token in zip(going, chosen, strict=True):
                    found[i].append(token)
                going = [(n, i) for n, i in going if found[i][-1] != end]
                if not going:
                    break
                at = [(found[i][-1], len(rows[i]) + step, n, True) for n, i in going]
        return found

    def _room(self, sequences: int, length: int) -> _Context:
        """An empty context for so many sequences of so many tokens; the last one where it has the room."""
        length = -(-length // _PADDED) * _PADDED
        if self._context is None or not self._context.holds(sequences, length):
            self._context = None  # its memory is free before the next one's is taken
            self._context = _Context(self._lib, self._model, sequences, length, self._threads)
        self._context.clear()
        return self._context


class _Model:
    """A file in memory."""

    def __init__(self, lib: Any, path: Path) -> None:
        _said.first = ""
        self.own = lib.llama_model_load_from_file(bytes(path), lib.llama_model_default_params())
        if not self.own:
            raise LlamaCppError(f"llama.cpp does not read the file: {_said.first or 'it does not say why'}")
        finalize(self, lib.llama_model_free, self.own)


class _Context:
    """Room for `sequences` of `length` tokens each."""

    def __init__(self, lib: Any, model: _Model, sequences: int, length: int, threads: int) -> None:
        self._lib, self._sequences, self._length = lib, sequences, length
        asked = lib.llama_context_default_params()
        asked.n_ctx = asked.n_batch = sequences * length
        asked.n_seq_max = sequences
        _said.first = ""
        self._own = lib.llama_init_from_model(model.own, asked)
        if not self._own:
            raise LlamaCppError(f"llama.cpp has no room for {sequences} x {length} tokens: {_said.first}")
        finalize(self, _free, lib, self._own, model)
        given = (lib.llama_n_ctx(self._own), lib.llama_n_batch(self._own), lib.llama_n_seq_max(self._own))
        if given[0] < sequences * length or given[1] < sequences * length or given[2] != sequences:
            raise LlamaCppError(f"this release of {PACKAGE} reads its parameters otherwise: {given}")
        lib.llama_set_n_threads(self._own, threads, threads)

    def holds(self, sequences: int, length: int) -> bool:
        return sequences <= self._sequences and length <= self._length

    def clear(self) -> None:
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._own), True)

    def decode(self, at: Sequence[tuple[int, int, int, bool]], tokens: int) -> Tensor:
        """(m, V): logits after those tokens that are wanted. `at`: token, position, sequence, whether it is wanted."""
        n = len(at)
        columns = np.array(at, dtype=np.int32).T
        token, position, sequence = (np.ascontiguousarray(column) for column in columns[:3])
        wanted, ones = np.ascontiguousarray(columns[3].astype(np.int8)), np.ones(n, dtype=np.int32)
        places = sequence.ctypes.data
        of_each = (POINTER(c_int32) * n)(*(ctypes.cast(places + 4 * i, POINTER(c_int32)) for i in range(n)))
        batch = _Batch(
            n, token.ctypes.data_as(POINTER(c_int32)), None, position.ctypes.data_as(POINTER(c_int32)),
            ones.ctypes.data_as(POINTER(c_int32)), of_each, wanted.ctypes.data_as(POINTER(c_int8)),
        )  # fmt: skip
        _said.first = ""
        code = self._lib.llama_decode(self._own, batch)
        if code:
            raise LlamaCppError(f"llama.cpp computes nothing (code {code}): {_said.first}")
        rows = int(wanted.sum())
        if not rows:
            return torch.empty(0, tokens)
        found = np.ctypeslib.as_array(self._lib.llama_get_logits(self._own), shape=(rows, tokens))
        return torch.from_numpy(found.copy())


def _free(lib: Any, context: Any, model: _Model) -> None:
    """`model` is named so that it lives until its contexts are gone, which read it as they go."""
    lib.llama_free(context)


def _parts(lengths: Sequence[int]) -> list[list[int]]:
    """Positions that are computed together, in order."""
    parts, longest = list[list[int]](), 0
    for i, length in enumerate(lengths):
        length = -(-max(1, length) // _PADDED) * _PADDED
        longest = max(longest, length)
        if not parts or len(parts[-1]) == TOGETHER or (len(parts[-1]) + 1) * longest > CELLS:
            parts.append([])
            longest = length
        parts[-1].append(i)
    return parts
