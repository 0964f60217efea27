"""Checkpoints: everything a run needs to go on bit-identically, written so that a crash leaves only whole files."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.errors import InvalidConfig

VERSION = 1
KEEP = 2  # the newest may be the one that the store is reading, so the one before it stays
_NAME = re.compile(r"checkpoint-(\d{9})\.pt")


def path_for(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step:09d}.pt"


def write(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists, dicts) atomically, with a sha256 of its contents inside.

    Temporary file, fsync, rename, fsync of the folder: after a crash the file is whole or absent.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"version": VERSION, "digest": digest(state), "state": state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # of a disk that is full
    _sync_folder(path.parent)


def read(path: str | Path) -> dict[str, Any]:
    """The state that `write` was given, on the CPU. Raises InvalidConfig for a file that is damaged or foreign."""
    try:
        outer = torch.load(path, map_location="cpu", weights_only=True)
        state = outer["state"]
        sound = outer["version"] == VERSION and outer["digest"] == digest(state)
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error
    if not sound:
        raise _damaged(path, "version or digest differ")
    assert isinstance(state, dict)
    return state


def _damaged(path: str | Path, why: str) -> InvalidConfig:
    return InvalidConfig(
        f"The checkpoint {Path(path).name} cannot be read: {why}.",
        "Continue from an earlier checkpoint, or start the job again without resume_from.",
        {"path": str(path)},
    )


def prune(folder: Path, keep: int = KEEP) -> None:
    """Remove all but the newest `keep` checkpoints, and what an interrupted write left."""
    for old in existing(folder)[:-keep]:
        old.unlink(missing_ok=True)
    for leftover in folder.glob("checkpoint-*.tmp"):
        leftover.unlink(missing_ok=True)


def existing(folder: Path) -> list[Path]:
    """Checkpoints in the folder, oldest first."""
    return sorted(path for path in folder.glob("checkpoint-*.pt") if _NAME.fullmatch(path.name))


def digest(value: Any) -> str:
    """sha256, hex, over a nested value: keys in order, tensors by dtype, shape and bytes."""
    sha = hashlib.sha256()
    _feed(sha, value)
    return sha.hexdigest()


def _feed(sha: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous()
        sha.update(f"T{flat.dtype}{tuple(flat.shape)}".encode())
        sha.update(flat.reshape(-1).view(torch.uint8).numpy() if flat.numel() else b"")
    elif isinstance(value, dict):
        sha.update(f"D{len(value)}".encode())
        for key, item in value.items():
            sha.update(repr(key).encode())
            _feed(sha, item)
    elif isinstance(value, list | tuple):
        sha.update(f"L{len(value)}".encode())
        for item in value:
            _feed(sha, item)
    else:
        sha.update(repr(value).encode() + b";")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
