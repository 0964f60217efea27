"""Calls of what happens to a finished student: other formats, publications, and the credentials for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from client.calls import Calls


class HandoverCalls(Calls):
    """Export and publish."""

    def export(self, job_id: str, format: str, **body: Any) -> dict[str, Any]:
        """Ask for a finished student in another format. `body`: `parameters`, `max_drop`."""
        made: dict[str, Any] = self._post(
            f"{_job(job_id)}/exports", {"format": format} | body, {"Idempotency-Key": uuid4().hex}
        )
        return made

    def exports(self, job_id: str) -> list[dict[str, Any]]:
        """All exports of a job's student, with what each is worth."""
        found: list[dict[str, Any]] = self.get(f"{_job(job_id)}/exports")["items"]
        return found

    def publish(self, job_id: str, target: str, **body: Any) -> dict[str, Any]:
        """Hand a finished student over. `body`: `parameters`, `secret` (a name), `again`. The same twice is one
        publication, unless `again`."""
        made: dict[str, Any] = self._post(
            f"{_job(job_id)}/publish", {"target": target} | body, {"Idempotency-Key": uuid4().hex}
        )
        return made

    def publications(self, job_id: str) -> list[dict[str, Any]]:
        """Where a job's student was handed over, and what each target calls the result."""
        found: list[dict[str, Any]] = self.get(f"{_job(job_id)}/publications")["items"]
        return found

    def put_secret(self, name: str, value: str | Mapping[str, str]) -> dict[str, Any]:
        """Leave credentials under a name: one text, or several by name. They can be replaced, and never read."""
        body = {"value": value if isinstance(value, str) else dict(value)}
        kept: dict[str, Any] = self._transport.request("PUT", _secret(name), json=body).json()
        return kept

    def secrets(self) -> list[dict[str, Any]]:
        """Names of the secrets there are."""
        found: list[dict[str, Any]] = self.get("/secrets")["items"]
        return found

    def delete_secret(self, name: str) -> None:
        self._transport.request("DELETE", _secret(name))


def _job(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _secret(name: str) -> str:
    return f"/secrets/{quote(name, safe='')}"
