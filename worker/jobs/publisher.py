"""The publisher process: `python -m worker.jobs.publisher FOLDER` hands over what FOLDER holds (decision 0024).

It speaks as a trainer does, JSON lines by the worker's pipes. It loads no stranger's file and runs no model: it reads
bytes and sends them. It calls what the operator's policy allows, and has neither database nor object store. The
credentials come as the first line of the orders pipe, so that no file, argument or environment of the process has them.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from distill.errors import RetortError
from distill.types import Event
from publishing import targets
from publishing.bundle import Bundle, Outline
from publishing.errors import TargetUnavailable
from store.egress import Policy
from worker.isolation import outgoing
from worker.jobs.following import Cancelled, Following
from worker.jobs.publication_spec import BUNDLE, HOME, SPEC, PublicationSpec
from worker.jobs.trainer import explain
from worker.processes import lifeline

CREDENTIALS_SECONDS, NICE = 30.0, 10


def main(arguments: list[str]) -> int:
    """0: done or handed over; 1: a `failed` event was said."""
    folder, say = Path(arguments[0]), lifeline.speaker()
    told: queue.Queue[str] = queue.Queue()
    lifeline.listen(lambda line: _listen(line, told))
    _own_home(folder)
    try:
        publish(folder, json.loads(told.get(timeout=CREDENTIALS_SECONDS)), say, told)
    except Exception as error:
        traceback.print_exc()
        say(Event("failed", explained(error).to_dict()))
        return 1
    return 0


def _listen(line: str, told: queue.Queue[str]) -> None:
    """The first line is the credentials. A hand-over ends the process: what it has sent is found again."""
    if line == "handover":
        os._exit(0)
    told.put(line)


def _own_home(folder: Path) -> None:
    """Libraries look for tokens and passwords of the worker's own user: ~/.netrc, ~/.cache/huggingface, ~/.aws."""
    home = folder / HOME
    home.mkdir(exist_ok=True)
    for name in ("HOME", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TMPDIR"):
        os.environ[name] = str(home)
    os.environ |= {"NETRC": os.devnull, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_DISABLE_PROGRESS_BARS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}  # fmt: skip


def publish(folder: Path, credentials: dict[str, str], say: Callable[[Event], None], told: queue.Queue[str]) -> None:
    """Do what the folder's spec asks for. `told`: what follows on the orders pipe. Raises what the target raises."""
    spec = PublicationSpec.model_validate_json((folder / SPEC).read_text())
    os.environ["HF_ENDPOINT"] = spec.huggingface_endpoint
    outgoing.hold(Policy.read(spec.hosts, spec.http_hosts, spec.networks))
    say(Event("phase", {"phase": "publishing"}))
    target = targets.get(spec.target)(spec.parameters, credentials)
    for name in target.libraries:
        logging.getLogger(name).setLevel(logging.WARNING)
    outline = (folder / BUNDLE).read_text()
    if spec.what == "publish":
        _hand_over(folder, target, Bundle.model_validate_json(outline), say)
    elif spec.what == "follow":
        _follow(Following(target, Outline.model_validate_json(outline), say, explained), told)
    else:
        Following(target, Outline.model_validate_json(outline), say, explained).end(spec.what)
    say(Event("done"))


def _follow(following: Following, told: queue.Queue[str]) -> None:
    """Until the worker says that it is over. The target hears of it only where the publication is cancelled."""
    os.nice(NICE)
    signal.signal(signal.SIGTERM, _cancelled)
    try:
        following.run(told)
    except Cancelled:
        following.end("cancelled")


def _cancelled(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Cancelled


def _hand_over(folder: Path, target: targets.Target, bundle: Bundle, say: Callable[[Event], None]) -> None:
    delivered = target.publish(bundle, lambda line: say(Event("log", {"level": "info", "message": line})))
    for name, media_type in delivered.files.items():
        say(Event("artifact", {"name": name, "path": str(folder / name), "media_type": media_type}))
    say(Event("result", {"publication": delivered.receipt}))


def explained(error: Exception) -> RetortError:
    """The error as a user should read it: a connection that failed on the way is the target's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RetortError):
            return cause
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)):
        remedy = "Nothing is lost: retry when it answers again."
        return TargetUnavailable(f"The target does not answer: {type(error).__name__}.", remedy)
    return explain(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
