"""Errors of the library: each says what is wrong, whose fault it is and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

Fault = Literal["user", "system"]
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""`errno` of an `OSError` that is our disk's fault, whatever file was being read or unpacked."""


class RetortError(Exception):
    """Base of every error that a user may see.

    `code` is stable and machine-readable; `remedy` says what to change; `fault` whose it is; `retryable` whether the
    same input can succeed on another attempt; `details` JSON-serialisable facts (names of tensors, layer, step).
    """

    code = "internal"
    fault: Fault = "system"
    retryable = False

    def __init__(self, message: str, remedy: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message, self.remedy, self.details = message, remedy, dict(details or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross processes whole: pickle alone would call the class with the message and nothing else."""
        return _again, (type(self), str(self)), self.__dict__

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "remedy": self.remedy,
            "fault": self.fault,
            "retryable": self.retryable,
            "details": self.details,
        }


def _again(kind: type[RetortError], message: str) -> RetortError:
    return kind.__new__(kind, message)


class UserError(RetortError):
    """The input cannot work however often it is tried."""

    code = "invalid_input"
    fault: Fault = "user"


SHORT_LIST = 12  # names that are listed even where one of them is near


class UnknownName(UserError):
    """A name that no registry or library has."""

    code = "unknown_name"

    def __init__(self, noun: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = get_close_matches(name, known, n=3)
        hints = [f"Did you mean {' or '.join(close)}?"] if close else []
        if not close or len(known) <= SHORT_LIST:
            hints.append(f"Known: {', '.join(known[:40])}.")
        hint = " ".join(hints)
        super().__init__(f"There is no {noun} named {name!r}.", hint, {"noun": noun, "name": name, "close": close})


class InvalidConfig(UserError):
    """A configuration value that contradicts the models or the data (k larger than the layers there are, ...)."""

    code = "invalid_config"


class InvalidTeacher(UserError):
    """A checkpoint that is not what it claims to be: truncated, wrong tensors, wrong shapes, NaN."""

    code = "invalid_teacher"


class InvalidDataset(UserError):
    """A dataset that cannot be read safely or cannot be learnt from."""

    code = "invalid_dataset"


class LayersNotFound(UserError):
    """Discovery found too few layers; the user must name modules."""

    code = "layers_not_found"


class NonFiniteFeatures(UserError):
    """A layer's features hold NaN or infinity."""

    code = "non_finite_features"


class Diverged(UserError):
    """Training left the finite or sane range; the message names the step, details hold the layer norms."""

    code = "diverged"


class AtChance(Diverged):
    """Training ended and the student knows no more than guessing does; the message names both accuracies, details hold
    the last losses and the layer norms."""

    code = "at_chance"


class OutOfMemoryGpu(RetortError):
    """The accelerator's memory is full: the same batch would meet the same end."""

    code = "oom_gpu"


class OutOfMemoryHost(RetortError):
    """The machine's memory is full: the same batch would meet the same end."""

    code = "oom_host"


class KilledForMemory(OutOfMemoryHost):
    """The kernel (most likely) killed the process for the machine's memory. Others may have taken it, so another
    attempt may succeed."""

    retryable = True
