"""Checkpoints of other formats to safetensors, in a one-shot sandboxed process. The caller's process parses nothing.

Taken: `torch.save` files (zip and legacy format) that hold a state dict, sharded safetensors with their index (a
folder, a zip, a tar), and single safetensors files, which are checked and copied.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from distill.errors import InvalidTeacher, RetortError
from distill.safetensors_header import TensorInfo, read_header
from worker.converter.limits import DEFAULT_LIMITS, ConverterLimits
from worker.converter.refusal import RESAVE, refuse
from worker.isolation.plan import LAYERS, Isolation
from worker.isolation.sandbox import Limits, Result, SandboxUnavailable, run_sandboxed

__all__ = ["DEFAULT_LIMITS", "ConvertedCheckpoint", "ConverterLimits", "convert"]

log = logging.getLogger(__name__)
_HEADER_BYTES = 40 * 2**20


@dataclass(frozen=True, slots=True)
class ConvertedCheckpoint:
    """`paths`: the safetensors files (one); `tensors`: their validated headers by name; `notes`: what was changed,
    in sentences for the user; `isolation`: what held the converter."""

    paths: tuple[Path, ...]
    tensors: dict[str, TensorInfo]
    notes: tuple[str, ...]
    isolation: Isolation


def convert(
    path_in: Path,
    folder_out: Path,
    limits: ConverterLimits = DEFAULT_LIMITS,
    *,
    layers: Sequence[str] = LAYERS,
    require: Sequence[str] = (),
) -> ConvertedCheckpoint:
    """Convert the checkpoint at `path_in` to `folder_out/model.safetensors`.

    Raises `InvalidTeacher` whenever the file is at fault (also when reading it takes too long or too much memory, or
    kills the converter); `SandboxUnavailable` when the process could not be shut in, or lacks a layer of `require`;
    `RetortError` when the machine failed (disk full). Nothing is left in `folder_out` then.
    """
    size = _input_bytes(path_in, limits)
    folder_out.mkdir(parents=True, exist_ok=True)
    with _partial(folder_out) as partial:
        arguments = [str(path_in.resolve()), str(partial.resolve()), json.dumps(asdict(limits))]
        result = run_sandboxed(
            "worker.converter", arguments, read_only=[path_in], writable=[partial],
            limits=_process_limits(limits, size), layers=layers, require=require,
        )  # fmt: skip
        notes = _notes(result)
        tensors = read_header(partial).tensors
        partial.chmod(0o644)
        target = partial.replace(folder_out / "model.safetensors")
    return ConvertedCheckpoint((target,), tensors, notes, result.isolation)


def _input_bytes(path: Path, limits: ConverterLimits) -> int:
    try:
        status = path.lstat()
        sizes = [entry.stat(follow_symlinks=False).st_size for entry in os.scandir(path)] if path.is_dir() else []
    except OSError as error:
        refuse(f"it cannot be read ({error.strerror})")
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        refuse("it is neither a file nor a folder")
    size = sum(sizes) if stat.S_ISDIR(status.st_mode) else status.st_size
    if not 0 < size <= limits.input_bytes:
        refuse(f"it has {size} bytes; up to {limits.input_bytes} are taken", bytes=size)
    return size


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """An empty file to write to: the child may fill it, and make no other. Gone at the end unless renamed."""
    path = folder / f".converting-{secrets.token_hex(8)}"
    path.touch(mode=0o600, exist_ok=False)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _process_limits(limits: ConverterLimits, size: int) -> Limits:
    extra = limits.seconds_per_gib * size / 2**30
    return Limits(
        memory_bytes=limits.memory_bytes + size,  # the file is mapped, or read, once
        cpu_seconds=int(limits.cpu_seconds + extra),
        idle_seconds=limits.idle_seconds + extra,
        file_bytes=int(min(limits.output_bytes, limits.ratio * size)) + _HEADER_BYTES,
    )


def _notes(result: Result) -> tuple[str, ...]:
    """The child's notes; its refusal or its end as an error. What it says is text from outside: cut and typed."""
    if not result.succeeded:
        _died(result)
    try:
        answer = json.loads(result.stdout.decode().strip().rsplit("\n", 1)[-1])
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        _died(result)
    if "refused" in answer:
        raise _refusal(answer["refused"])
    if "failed" in answer:
        raise RetortError(f"The converter failed: {str(answer['failed'])[:500]}", "Try again; look at the disk.")
    return tuple(str(note)[:500] for note in list(answer.get("notes", ()))[:20])


def _refusal(data: Any) -> InvalidTeacher:
    data = data if isinstance(data, dict) else {}
    details = data.get("details")
    message, remedy = str(data.get("message", "The checkpoint was refused."))[:1000], str(data.get("remedy", RESAVE))
    return InvalidTeacher(message, remedy[:1000], details if isinstance(details, dict) else {})


def _died(result: Result) -> NoReturn:
    log.warning("the converter ended with %s %s: %s", result.ending, result.status, result.stderr[-2000:])
    if result.ending in ("idle", "cpu"):
        refuse("reading it took too long", ending=result.ending)
    if result.ending == "signal":
        refuse(f"reading it ended the converter with signal {-result.status}", signal=-result.status)
    if b"ModuleNotFoundError" in result.stderr:
        raise SandboxUnavailable("The converter could not start.", "Look at the worker's log.")
    refuse("reading it made the converter fail", status=result.status)
