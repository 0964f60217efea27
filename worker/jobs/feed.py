"""What a job says while it runs, on its way to the process that passes it on."""

from __future__ import annotations

import json
import time

from store.database import AWAY, Database
from store.states import LEASED
from worker.processes.process import TrainerProcess
from worker.transfer import published

LOOK_SECONDS, ROWS = 1.0, 100


class Feed:
    """New rows of metrics from the database, a batch at a time: the next one follows when the process has said `sent`.
    So a target that is slow or down leaves the rows where they are, and neither pipe nor memory fills."""

    def __init__(self, database: Database, job_id: str, seen: int, settled: bool) -> None:
        """`seen`: number of the last of the job's events that the process knows; `settled`: whether it has the
        configuration that the run made."""
        self._database, self._job_id, self._seen, self._settled = database, job_id, seen, settled
        self._waiting, self._next = True, 0.0  # what the process was started with is under way
        self.over = False

    def sent(self) -> None:
        """The process has passed on what it had."""
        self._waiting = False

    def pass_on(self, process: TrainerProcess) -> None:
        """Look and tell, when it is time. `over`: nobody holds the job any more, and all that it said was passed on or
        cannot be now. Raises `InputGone`."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOOK_SECONDS
        try:
            with self._database.read() as session:
                news = published.news(session, self._job_id, self._seen, ROWS)
        except AWAY:
            return
        if news.status not in LEASED and (self._waiting or not news.metrics):
            self.over = True
        if not self._waiting and (news.metrics or (news.config and not self._settled)):
            config = None if self._settled else news.config
            rows = [row.model_dump(mode="json") for row in news.metrics]
            process.tell(json.dumps({"rows": rows, "config": config}))
            self._seen, self._settled, self._waiting = news.seen, self._settled or config is not None, True
