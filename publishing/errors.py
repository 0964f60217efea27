"""How a publication fails, in the words a user reads."""

from __future__ import annotations

from distill.errors import RetortError, UserError


class TargetUnavailable(RetortError):
    """The target did not answer, or answered that it cannot serve now."""

    code = "target_unavailable"
    retryable = True


class CredentialsRefused(UserError):
    """The target does not know the credentials."""

    code = "credentials_refused"


class TargetForbidden(UserError):
    """The target knows the credentials, and they do not allow this: a repository of somebody else."""

    code = "target_forbidden"


class TargetRefused(UserError):
    """The target answered that the request is wrong: a bucket that is not there, a name it does not take."""

    code = "target_refused"


class MissingCredentials(UserError):
    """The target needs credentials that the publication's secret does not hold."""

    code = "credentials_missing"


class JobNotSucceeded(RetortError):
    """The job that was followed failed: there is no student to hand over."""

    code = "job_not_succeeded"
    retryable = False


def of_status(status: int, said: str, what: str) -> RetortError:
    """The error behind an HTTP status. `what`: the target, as the subject of a sentence; `said`: its own words."""
    said = said.strip()[:500]
    tail = f": {said}" if said else ""
    details = {"status": status}
    if status == 401:
        remedy = "Store credentials that are valid there: PUT /secrets/NAME, then publish again."
        return CredentialsRefused(f"{what} refused the credentials (401){tail}", remedy, details)
    if status == 403:
        remedy = "Name a place that belongs to these credentials, or store others with the right to write there."
        return TargetForbidden(f"{what} does not allow this with these credentials (403){tail}", remedy, details)
    if status in (408, 425, 429) or status >= 500:
        remedy = "Nothing is lost: retry when it serves again."
        return TargetUnavailable(f"{what} cannot serve now ({status}){tail}", remedy, details)
    return TargetRefused(f"{what} refused the request ({status}){tail}", "Correct the parameters.", details)
