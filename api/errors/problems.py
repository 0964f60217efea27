"""Every error the API answers with: one tree, RFC 9457 documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.errors.shortened import all_shortened, shortened

Place = Literal["body", "query", "path", "header"]
MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """One thing wrong with the request, and where."""

    model_config = ConfigDict(populate_by_name=True)
    pointer: str = Field(
        description="JSON pointer into the body, or /name of the parameter.", examples=["/student/name"]
    )
    message: str = Field(examples=["There is no architecture named 'timm:resnet43'."])
    place: Place = Field("body", alias="in", description="Which part of the request the pointer points into.")


class ProblemDocument(BaseModel):
    """An RFC 9457 problem document (`application/problem+json`)."""

    type: str = Field(description="URI reference of the kind of problem.", examples=["/problems/not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What is wrong, in a sentence.", examples=["There is no job job_01K."])
    instance: str = Field(description="Path of the request.", examples=["/jobs/job_01K"])
    code: str = Field(description="Stable, machine-readable.", examples=["not_found"])
    remedy: str = Field("", description="What to do about it.", examples=["GET /jobs lists the jobs there are."])
    fault: Literal["user", "system"] = Field(examples=["user"])
    retryable: bool = Field(False, description="Whether the same request can succeed later.")
    errors: list[FieldError] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict, description="Facts: names of tensors, layers, limits.")


class Problem(Exception):
    """Base of every error of the API. `code` and the texts may be set per instance; the status is the class's."""

    status = 500
    code = "internal"
    title = "Internal error"
    fault: Literal["user", "system"] = "user"
    retryable = False

    def __init__(
        self,
        detail: str,
        remedy: str = "",
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(detail)
        self.retryable = type(self).retryable if retryable is None else retryable
        self.detail, self.remedy = detail, remedy
        self.code = code or self.code
        self.errors, self.details, self.headers = list(errors), dict(details or {}), dict(headers or {})

    def document(self, instance: str) -> ProblemDocument:
        return ProblemDocument(
            type=f"/problems/{self.code.replace('_', '-')}",
            title=self.title,
            status=self.status,
            detail=shortened(self.detail),
            instance=instance,
            code=self.code,
            remedy=shortened(self.remedy),
            fault=self.fault,
            retryable=self.retryable,
            errors=[each.model_copy(update={"message": shortened(each.message)}) for each in self.errors],
            details=all_shortened(self.details),
        )


class InternalError(Problem):
    fault = "system"
    retryable = True


class BadGateway(Problem):
    """A server that the request names did not answer."""

    status, code, title, fault, retryable = 502, "reference_unavailable", "Bad gateway", "system", True


class Unavailable(Problem):
    """A service that we need does not answer."""

    status, code, title, fault, retryable = 503, "unavailable", "Service unavailable", "system", True


class BadRequest(Problem):
    status, code, title = 400, "bad_request", "Bad request"


class Unauthorized(Problem):
    status, code, title = 401, "unauthorized", "Unauthorized"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "Forbidden"


class NotFound(Problem):
    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(Problem):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


class NotAcceptable(Problem):
    status, code, title = 406, "not_acceptable", "Not acceptable"


class Conflict(Problem):
    status, code, title = 409, "conflict", "Conflict"


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition_failed", "Precondition failed"


class TooLarge(Problem):
    status, code, title = 413, "payload_too_large", "Payload too large"


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class RangeNotSatisfiable(Problem):
    status, code, title = 416, "range_not_satisfiable", "Range not satisfiable"


class Unprocessable(Problem):
    status, code, title = 422, "invalid_request", "Unprocessable content"


class TooManyRequests(Problem):
    status, code, title, retryable = 429, "too_many_requests", "Too many requests", True


#: What servers elsewhere did, and nothing of the service.
ELSEWHERE = ("reference_unavailable", "name_not_resolved")


def class_of(fault: str, code: str) -> type[Problem]:
    """The class of an error that says whose fault it is."""
    if fault == "user":
        return Unprocessable
    return BadGateway if code in ELSEWHERE else InternalError


def by_status() -> dict[int, type[Problem]]:
    """Every class of the tree by its status code."""
    kinds: list[type[Problem]] = Problem.__subclasses__()
    return {kind.status: kind for kind in kinds}
