"""The verdict on a file whose inspector ended without one, from how its process ended.

Imports nothing of the store: the inspector, which starts for every file, uses it too.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from types import MappingProxyType

from distill.errors import InvalidDataset, InvalidTeacher, KilledForMemory, RetortError, UserError
from worker.errors import TrainerCrashed
from worker.processes.signals import name_of

#: What an inspection of untrusted files refuses them with.
_REFUSALS: Mapping[str, type[UserError]] = MappingProxyType(
    {"teacher": InvalidTeacher, "dataset": InvalidDataset, "part": InvalidDataset, "sample": InvalidDataset}
)
_OF_DATASETS = "Look for damaged or extreme files, rows or row groups in it, and write it again without them."
_REMEDIES = {
    "teacher": "Save it again where it came from, as safetensors, and upload that.",
    "dataset": _OF_DATASETS,
    "part": _OF_DATASETS,
    "sample": _OF_DATASETS,
}
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU, signal.SIGXFSZ}
)


def explain_inspection(what: str, exit_code: int, peak_memory_bytes: int | None, last_line: str) -> RetortError:
    """An inspector that ended without a word. What a crash, or the end of its processor time, comes from is the file:
    another inspection would meet it again, as a converter that a checkpoint ends would."""
    details = {"exit_code": exit_code, "peak_memory_bytes": peak_memory_bytes, "last_line": last_line}
    if what in _REFUSALS and -exit_code in _CRASHES:
        return _REFUSALS[what](f"Reading it ended the inspection with {name_of(-exit_code)}.", _REMEDIES[what], details)
    if -exit_code == signal.SIGKILL:
        why = "The inspection was killed (SIGKILL), most often by the kernel when memory runs out."
        return KilledForMemory(why, "Try again, or give the worker's machine more memory.", details)
    how = f"was ended by {name_of(-exit_code)}" if exit_code < 0 else f"ended with exit code {exit_code}"
    hint = f" Its last line: {last_line}" if last_line else ""
    return TrainerCrashed(f"The inspection {how} without an answer.{hint}", "See the worker's log.", details)


def too_large(what: str) -> RetortError:
    """Python got no memory within an inspection's limit."""
    why = "Looking at this input needs more memory than an inspection may have."
    return _REFUSALS[what](why, _REMEDIES[what]) if what in _REFUSALS else KilledForMemory(why)
