"""One inspector process and its answer, however it ends."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill.errors import RetortError
from store.settings import Settings
from worker.errors import Internal
from worker.inspecting.inspector import ALLOWED, ANSWER, CONFINED, REQUEST
from worker.inspecting.verdicts import explain_inspection
from worker.isolation import users
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess
from worker.watching.waiting import Patience

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "worker.inspecting.inspector")
IDLE_SECONDS, CPU_SECONDS = 600.0, 3600.0  # in which an inspector may do nothing, and of processor time
TICK_SECONDS = 0.05


def run(
    command: Sequence[str], what: str, folder: Path, request: dict[str, Any], settings: Settings, check: Any,
    waits: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # fmt: skip
    """Let an inspector process answer; however it ends there is an answer. `waits`: whether it does nothing because of
    us. Raises what `check` raises."""
    (folder / REQUEST).write_text(json.dumps(request))
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": str(folder)}
    user = users.inspector(settings) if what in CONFINED else None
    users.grant(folder, user, [""])
    process = TrainerProcess([*command, what], folder, child_environment(settings, own), user)
    patience, most = Patience(process.pid, IDLE_SECONDS), CPU_SECONDS + request.get(ALLOWED, 0)
    try:
        while not process.exited():
            check()
            if waits():
                patience.rest()
            elif patience.left() <= 0:
                return refused(Internal(f"The inspection hung: it did nothing for {IDLE_SECONDS:.0f} s."))
            if patience.cpu_seconds > most:
                return refused(Internal(f"The inspection took more than {most:.0f} s of processor time."))
            time.sleep(TICK_SECONDS)
    finally:
        process.end(0)
    if (folder / ANSWER).is_file():
        answer: dict[str, Any] = json.loads((folder / ANSWER).read_text())
        if answer.get("error", {}).get("code") == Internal.code:  # whose remedy sends to this log
            log.error("an inspector failed: %s", "\n".join(process.tail))
        return answer
    log.error("an inspector died: %s", "\n".join(process.tail))
    assert process.exit_code is not None
    last = process.tail[-1] if process.tail else ""
    return refused(explain_inspection(what, process.exit_code, process.peak_memory_bytes, last))


def refused(error: RetortError) -> dict[str, Any]:
    """The answer of an inspection that refuses."""
    return {"error": error.to_dict()}
