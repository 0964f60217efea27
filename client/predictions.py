"""Calls that ask a finished student, and that show where it differs from its teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from client import sse
from client.calls import Calls
from client.types import Event

STREAM_SECONDS = 120.0
Sample = str | tuple[str, str] | list[dict[str, str]] | Path
"""A text, two texts, messages of a conversation, or the path of a picture."""


class PredictionCalls(Calls):
    """Part of `client.api.Retort`."""

    def predict(self, job_id: str, inputs: Sequence[Sample], *, teacher: bool = False, **how: Any) -> dict[str, Any]:
        """Ask a finished student about a few samples: paths of pictures, or texts. `teacher`: its teachers answer too.
        `how`, of a student that writes: `max_tokens`, `temperature`, `seed`. The first request takes seconds, those
        within a minute after it milliseconds. Raises `ProblemError`."""
        with _body(inputs, {"teacher": teacher} | how) as body:
            answer = self._transport.request("POST", f"{_path(job_id)}/predict", **body)
        found: dict[str, Any] = answer.json()
        return found

    def predict_stream(
        self, job_id: str, inputs: Sequence[Sample], *, teacher: bool = False, **how: Any
    ) -> Iterator[Event]:
        """The same of a student that writes, as it writes: `text` events with the next part of a text, then one
        `answer`, whose data `predict` returns, or `failed`, whose data is the problem."""
        with _body(inputs, {"teacher": teacher} | how) as body:
            headers = {"Accept": "text/event-stream"}
            path = f"{_path(job_id)}/predict"
            with self._transport.stream(path, headers, STREAM_SECONDS, method="POST", **body) as answer:
                yield from sse.messages(answer.iter_lines())

    def disagreements(self, job_id: str) -> Iterator[dict[str, Any]]:
        """The test samples on which student and teacher differ most, the furthest apart first."""
        return self._pages(f"{_path(job_id)}/disagreements")


@contextmanager
def _body(inputs: Sequence[Sample], options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Pictures as a form, all else as JSON."""
    given = {name: value for name, value in options.items() if value is not None}
    pictures = [each for each in inputs if isinstance(each, Path)]
    if not pictures:
        yield {"json": {"inputs": list(inputs)} | given}
        return
    with ExitStack() as opened:
        files = [("file", (each.name, opened.enter_context(each.open("rb")))) for each in pictures]
        yield {"files": files, "data": {name: str(value).lower() for name, value in given.items()}}


def _path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"
