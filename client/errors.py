"""What can go wrong, as exceptions that carry the remedy."""

from __future__ import annotations

from typing import Any

import httpx


class RetortClientError(Exception):
    """Base of the client's errors. `fault` says whose it is, `remedy` what to do."""

    fault = "system"

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


class ProblemError(RetortClientError):
    """The service answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail", f"HTTP {status}")), str(document.get("remedy", "")))
        self.status, self.document = status, document
        self.code = str(document.get("code", "unknown"))
        self.fault = str(document.get("fault", "user" if status < 500 else "system"))
        self.errors: list[dict[str, Any]] = document.get("errors", [])

    @classmethod
    def of(cls, response: httpx.Response) -> ProblemError:
        """The answer as an error, whatever stands between us and the service made of it."""
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            document = {"detail": f"{response.request.url} answered {response.status_code} {response.reason_phrase}."}
        return cls(response.status_code, document)


class Unreachable(RetortClientError):
    """Nothing answers at the URL."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"No service answers at {url} ({why}).", "Start one with `retort serve`, or give --url.")


class NotThere(RetortClientError):
    """What was asked for is not among what there is."""

    fault = "user"


class Unusable(RetortClientError):
    """What was given cannot be used as it is; the service has not been asked."""

    fault = "user"


class Refused(RetortClientError):
    """An inspection found the input unusable after the request that sent it had been answered."""

    fault = "user"


class Corrupt(RetortClientError):
    """What was downloaded is not what the service says it stored."""


class _Failed(RetortClientError):
    """What was followed ended as nobody wanted it; its document tells why."""

    noun = ""

    def __init__(self, document: dict[str, Any]) -> None:
        error = document.get("error") or {}
        message = error.get("message") or f"{self.noun} {document['id']} is {document['status']}."
        super().__init__(message, error.get("remedy", ""))
        self.fault = error.get("fault", "user")


class JobFailed(_Failed):
    """The job ended without a student."""

    noun = "Job"

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__(job)
        self.job = job


class StudyFailed(_Failed):
    """The study ended without a winner."""

    noun = "Study"

    def __init__(self, study: dict[str, Any]) -> None:
        super().__init__(study)
        self.study = study
