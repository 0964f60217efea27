"""Calls of studies: searches over jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from client import following
from client.calls import Calls
from client.types import Event, Study, Trial

TABLE_MEDIA = {"json": "application/json", "csv": "text/csv", "md": "text/markdown"}
PARETO_MEDIA = {"json": "application/json", "svg": "image/svg+xml", "png": "image/png"}
FIGURE_MEDIA = PARETO_MEDIA | {"csv": "text/csv"}


class StudyCalls(Calls):
    """Make, follow and read studies."""

    def create_study(self, *, idempotency_key: str | None = None, **body: Any) -> Study:
        """POST /studies: `base` (the body of a job), `space`, and where wanted `seeds`, `strategy`, `search_seed`,
        `objectives`, `budget`, `confirm`, `name`, `labels`. Sent again after a broken connection it still makes one
        study."""
        study: Study = self._post("/studies", body, {"Idempotency-Key": idempotency_key or uuid4().hex})
        return study

    def check_study(self, **body: Any) -> dict[str, Any]:
        """Check a study, and what it would take, without beginning it."""
        found: dict[str, Any] = self._post("/studies?dry_run=true", body)
        return found

    def studies(self, status: list[str] | None = None) -> Iterator[Study]:
        """Studies, newest first."""
        return self._pages("/studies", status=status or None)

    def study(self, study_id: str) -> Study:
        found: Study = self.get(_study(study_id))
        return found

    def study_trials(self, study_id: str, state: list[str] | None = None) -> Iterator[Trial]:
        """Its jobs, first to last, with what was found of each."""
        return self._pages(f"{_study(study_id)}/trials", state=state or None)

    def study_table(self, study_id: str) -> dict[str, Any]:
        """Configurations with their spreads and their differences to the base job, the best first."""
        found: dict[str, Any] = self.get(f"{_study(study_id)}/table")
        return found

    def study_table_as(self, study_id: str, form: str) -> bytes:
        """The table as `csv`, `md` or `json`."""
        headers = {"Accept": TABLE_MEDIA[form]}
        return self._transport.request("GET", f"{_study(study_id)}/table", headers=headers).content

    def study_pareto(self, study_id: str, x: str | None = None, y: str | None = None) -> dict[str, Any]:
        """Configurations by two figures, and those that no other beats in both."""
        found: dict[str, Any] = self.get(f"{_study(study_id)}/pareto", x=x, y=y)
        return found

    def study_pareto_as(self, study_id: str, form: str, x: str | None = None, y: str | None = None) -> bytes:
        """The plot as `svg`, `png` or `json`."""
        query = {name: value for name, value in {"x": x, "y": y}.items() if value is not None}
        headers = {"Accept": PARETO_MEDIA[form]}
        return self._transport.request("GET", f"{_study(study_id)}/pareto", headers=headers, params=query).content

    def study_figure(
        self, study_id: str, x: str | None = None, y: str | None = None, series: str | None = None
    ) -> dict[str, Any]:
        """Configurations as points with intervals: `y` against `x`, in `series` by a place; "none": no series."""
        found: dict[str, Any] = self.get(f"{_study(study_id)}/figure", x=x, y=y, series=series)
        return found

    def study_figure_as(
        self, study_id: str, form: str, x: str | None = None, y: str | None = None, series: str | None = None
    ) -> bytes:
        """The figure as `svg`, `png`, `csv` or `json`, drawn by the service."""
        given = {"x": x, "y": y, "series": series}
        query = {name: value for name, value in given.items() if value is not None}
        headers = {"Accept": FIGURE_MEDIA[form]}
        return self._transport.request("GET", f"{_study(study_id)}/figure", headers=headers, params=query).content

    def study_importance(self, study_id: str) -> dict[str, Any]:
        """How much each place of the space matters."""
        found: dict[str, Any] = self.get(f"{_study(study_id)}/importance")
        return found

    def act_on_study(self, study_id: str, action: str) -> Study:
        """cancel, pause or resume."""
        study: Study = self._post(f"{_study(study_id)}/{action}")
        return study

    def extend_study(
        self, study_id: str, trials: int | None = None, minutes: float | None = None, parallel: int | None = None
    ) -> Study:
        """More trials or minutes; `parallel`: so many at once from now on."""
        given = {"trials": trials, "minutes": minutes, "parallel": parallel}
        body = {name: value for name, value in given.items() if value is not None}
        study: Study = self._post(f"{_study(study_id)}/extend", body)
        return study

    def delete_study(self, study_id: str, cancel: bool = False) -> None:
        """Remove a study, not its jobs; with `cancel` an active one is ended first, and waited for."""
        while True:
            answer = self._transport.request("DELETE", _study(study_id), params={"cancel": str(cancel).lower()})
            if answer.status_code != httpx.codes.ACCEPTED:
                return
            self.wait_for_study(study_id)

    def wait_for_study(
        self, study_id: str, on_change: Callable[[Study], None] | None = None, seconds: float | None = None
    ) -> Study:
        """The study once it has ended; `on_change` sees every change. Raises `TimeoutError` after `seconds`."""
        study: Study = following.until_ended(self._transport, _study(study_id), on_change, seconds)
        return study

    def study_events(self, study_id: str, after: int = 0) -> Iterator[Event]:
        """Everything that has happened and happens, until the study has ended; as `events` of a job."""
        return following.events(self._transport, _study(study_id), after)


def _study(study_id: str) -> str:
    return f"/studies/{quote(study_id, safe='')}"
