"""A target that is told of a job while it runs, and told again until it hears."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from distill.errors import RetortError
from distill.types import Event
from publishing.bundle import BundleMetric, Outline
from publishing.errors import TargetUnavailable
from publishing.targets import LiveTarget

FIRST_SECONDS, MOST_SECONDS = 1.0, 60.0


class Cancelled(BaseException):
    """The publication is cancelled; no handler of a library's errors is to hold it back."""


class Following:
    """`explained`: the error that a user should read."""

    def __init__(
        self,
        target: LiveTarget,
        outline: Outline,
        say: Callable[[Event], None],
        explained: Callable[[Exception], RetortError],
    ) -> None:
        self._target, self._outline, self._say, self._explained = target, outline, say, explained

    def run(self, told: queue.Queue[str]) -> None:
        """Open, send what there is, and then whatever is told, for ever. Raises what no waiting mends."""
        self._patiently(self._open)
        while True:
            news = json.loads(told.get())
            rows = [BundleMetric.model_validate(row) for row in news["rows"]]
            if news["config"] is not None:
                self._outline = self._outline.model_copy(update={"config": news["config"], "settled": True})
            settled = news["config"] is not None
            self._patiently(lambda rows=rows, settled=settled: self._tell(rows, settled))  # type: ignore[misc]

    def end(self, status: Literal["failed", "cancelled"]) -> None:
        """The job has ended so. Raises what the target raises."""
        self._target.open(self._outline)
        self._target.log(self._outline.metrics)
        self._say(Event("result", {"publication": self._target.end(status)}))

    def _open(self) -> None:
        receipt = self._target.open(self._outline)
        self._say(Event("result", {"publication": receipt}))
        self._tell(self._outline.metrics, settled=False)

    def _tell(self, rows: list[BundleMetric], settled: bool) -> None:
        if settled:
            self._target.settle(self._outline)
        self._target.log(rows)
        self._say(Event("sent", {"rows": len(rows)}))

    def _patiently(self, act: Callable[[], None]) -> None:
        """Do it, again and again while the target does not answer: it is asked then what it has, as an answer may have
        been lost on the way. The publication's warning says since when, and when it answers again."""
        pause, trouble, began = FIRST_SECONDS, None, time.time()
        while True:
            try:
                if trouble is not None:
                    self._target.open(self._outline)
                act()
                break
            except Exception as error:
                found = self._explained(error)
                if not isinstance(found, TargetUnavailable):
                    raise
                if trouble is None:
                    self._say(Event("warning", _warning(found, began, None)))
                trouble = found
            time.sleep(pause)
            pause = min(2 * pause, MOST_SECONDS)
        if trouble is not None:
            self._say(Event("warning", _warning(trouble, began, time.time())))


def _warning(error: TargetUnavailable, since: float, until: float | None) -> dict[str, object]:
    """Times in ISO 8601, as everywhere in the API; `until`: null while it does not answer."""
    remedy = "None is needed: it is told again until it answers." if until is None else "None: it answers again."
    details = error.details | {"since": _iso(since), "until": None if until is None else _iso(until)}
    return {"code": error.code, "message": error.message, "remedy": remedy, "details": details}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(round(seconds), UTC).isoformat()
