"""What the exit code of a process that ended without a word says. Trainers import it, and so nothing of the store."""

from __future__ import annotations

import signal
from typing import Any

from distill.errors import KilledForMemory, RetortError
from worker.errors import TrainerCrashed
from worker.processes.signals import name_of

SMALLER_BATCHES = "Lower batch_size, quality_memory_bytes or cache_memory_bytes, or give the worker more memory."
MORE_MEMORY = "Give the worker more memory, then try again."
SEE_LOG = "See the job's log. It is tried again while attempts are left."
_SENDERS = {
    True: "",
    False: " The kernel has ended nothing for memory there: somebody or something else sent the signal.",
    None: " Nothing there counts what the kernel ends for memory, so who sent the signal is not known.",
}


def explain_exit(
    exit_code: int | None, peak_memory_bytes: int | None, last_line: str, who: str = "The trainer",
    relief: str = SMALLER_BATCHES, for_memory: bool | None = None,
) -> RetortError:  # fmt: skip
    """`exit_code`: None where it is not known. `who`: the subject of the sentence. `relief`: what makes it need less
    memory or gives it more. `for_memory`: whether the kernel counts a kill for memory where it ran
    (`MemoryKills.lately`); without one no signal is put down to memory."""
    number = _signal(exit_code)
    details = {"exit_code": exit_code, "peak_memory_bytes": peak_memory_bytes, "last_line": last_line}
    if number:
        details["signal"] = name_of(number)
    if number == signal.SIGKILL:
        details["killed_for_memory"] = for_memory
    if number == signal.SIGKILL and for_memory:
        peak = f" Its peak memory was {peak_memory_bytes / 2**30:.1f} GiB." if peak_memory_bytes else ""
        return KilledForMemory(f"{who} was ended by the kernel (SIGKILL): memory had run out.{peak}", relief, details)
    how = "ended" if exit_code is None else f"ended with exit code {exit_code}"
    how = f"was ended by {name_of(number)}" if number else how
    sender = _SENDERS[for_memory] if number == signal.SIGKILL else ""
    hint = f" Its last line: {last_line}" if last_line else ""
    return TrainerCrashed(f"{who} {how} without saying why.{sender}{hint}", SEE_LOG, details)


def explain_rank(
    exit_code: int | None, rank: int | None, processes: int, peak_memory_bytes: int | None = None,
    for_memory: bool | None = None, host: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The failure of one of a job's processes that ended without a word. `host`: where it ran, if the job has
    several."""
    who = rank_name(rank, processes) + (f" (on host {host})" if host else "")
    told = explain_exit(exit_code, peak_memory_bytes, "", who, for_memory=for_memory).to_dict()
    return told | {"details": told["details"] | {"rank": rank, "processes": processes}}


def rank_name(rank: int | None, processes: int) -> str:
    return f"{'One' if rank is None else f'Rank {rank}'} of the {processes} processes"


def completed(
    failure: dict[str, Any], peak_memory_bytes: int | None, for_memory: bool | None, host: str = ""
) -> dict[str, Any]:
    """The failure of a group with what its launcher, which is shut in, could not know of a rank that ended without a
    word: the memory of all of them, and whether the kernel ended one for memory."""
    details = failure.get("details") or {}
    if details.get("killed_for_memory", True) is None and (for_memory is not None or host):
        failure = explain_rank(
            details["exit_code"], details["rank"], details["processes"], peak_memory_bytes, for_memory, host
        )
    elif details.get("peak_memory_bytes", 0) is None:
        failure = failure | {"details": details | {"peak_memory_bytes": peak_memory_bytes}}
    return failure


def _signal(exit_code: int | None) -> int:
    """That ended it; 0 for none. Shells and containers report 128 + its number."""
    if exit_code is None:
        return 0
    return -exit_code if exit_code < 0 else max(exit_code - 128, 0)
