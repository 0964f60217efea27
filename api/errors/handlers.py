"""Any exception as a problem document: the one handler of the API."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.errors import problems
from api.errors.bodies import unreadable
from api.errors.problems import FieldError, Problem
from distill.errors import RetortError
from store.objects import ObjectMissing, StorageUnavailable
from store.repositories.rows import Gone
from store.standing import refusal
from store.states import IllegalTransition

log = logging.getLogger(__name__)
RETRY_SECONDS = "5"


@singledispatch
def problem_of(error: Exception) -> Problem:
    """The problem that an exception is. Unknown exceptions tell the client nothing but that they happened."""
    log.error("unhandled %s", type(error).__name__, exc_info=error)
    return problems.InternalError(
        "The service failed on this request.", "Try again; if it happens again, see the API's log."
    )


@problem_of.register
def _problem(error: Problem) -> Problem:
    return error


@problem_of.register
def _retort(error: RetortError) -> Problem:
    kind = problems.class_of(error.fault, error.code)
    return kind(error.message, error.remedy, code=error.code, details=error.details)


@problem_of.register
def _transition(error: IllegalTransition) -> Problem:
    return problems.Conflict(
        f"The job {refusal(error.current, error.wanted)}.",
        "GET the job to see its status, and what its links offer.",
        code="illegal_transition",
        details={"status": error.current, "wanted": error.wanted},
    )


@problem_of.register
def _deleted(error: Gone) -> Problem:
    remedy = "GET the list of its kind to see what there is."
    return problems.NotFound(f"{error.row_id!r} has been deleted in this moment.", remedy)


@problem_of.register
def _storage(error: StorageUnavailable) -> Problem:
    log.warning("object store: %s", error)
    remedy = "Try again in a few seconds; GET /readyz tells when the store is back."
    headers = {"Retry-After": RETRY_SECONDS}
    return problems.Unavailable(
        "The object store does not answer.", remedy, code="storage_unavailable", headers=headers
    )


@problem_of.register
def _missing(error: ObjectMissing) -> Problem:
    log.error("object %s has a row and no bytes", error.key)
    return problems.InternalError(
        "The file's bytes are not in the object store.", "See whether someone emptied it.", code="object_missing"
    )


@problem_of.register(OperationalError)
@problem_of.register(InterfaceError)
@problem_of.register(PoolTimeout)
def _database(error: OperationalError | InterfaceError | PoolTimeout) -> Problem:
    log.warning("database: %s", error)
    return _unavailable("database", "database_unavailable")


def _unavailable(what: str, code: str) -> Problem:
    remedy = "Try again in a few seconds; GET /readyz tells when it is back."
    headers = {"Retry-After": RETRY_SECONDS}
    return problems.Unavailable(f"The {what} does not answer.", remedy, code=code, headers=headers)


@problem_of.register
def _integrity(error: IntegrityError) -> Problem:
    log.info("lost a race: %s", error)
    remedy = "GET the resources that the request names, then send it again if it still makes sense."
    return problems.Conflict("Another request changed what this one builds on.", remedy, code="lost_race")


@problem_of.register
def _http(error: HTTPException) -> Problem:
    if error.status_code == 404:
        return problems.NotFound("There is nothing at this path.", "GET /openapi.json lists every path.")
    if error.status_code == 405:
        return problems.MethodNotAllowed(
            "This path does not take this method.", "The Allow header lists those it takes.", headers=error.headers
        )
    kind = problems.by_status().get(error.status_code, problems.BadRequest)
    return kind(str(error.detail), headers=error.headers)


@problem_of.register
def _gone(error: ClientDisconnect) -> Problem:
    """Nobody is there to read this; it only keeps a broken line from being an error of the service."""
    return problems.BadRequest("The request broke off before its body had come.", "Send it again, complete.")


NOT_STORABLE = "not_storable"
"""Type of the error of a body that JSON can spell and a database cannot hold; its context has the `pointer`."""


@problem_of.register
def _validation(error: RequestValidationError) -> Problem:
    found = list(error.errors())
    if any(entry["type"] == "json_invalid" for entry in found):
        what = "The body is not JSON."
        return problems.BadRequest(what, "Send one JSON object.", code="malformed_json", errors=_fields(error))
    if isinstance(error.body, bytes) and error.body:
        remedy = "Send the header Content-Type: application/json."
        return problems.UnsupportedMediaType("The body's Content-Type is not application/json.", remedy)
    fields = _fields(error)
    return problems.Unprocessable(
        f"The request is not valid: {fields[0].message} ({fields[0].pointer or 'body'}).",
        _remedy(found),
        errors=fields,
    )


def _remedy(found: list[dict[str, Any]]) -> str:
    """Settings of a recipe, a selection or an export format are most often written a level too high."""
    more = (
        " What a recipe, a selection or an export format takes of its own stands in `recipe_parameters`, "
        "`selection_parameters` or `parameters`."
    )
    unknown = any(entry["type"] == "extra_forbidden" for entry in found)
    return f"Correct what `errors` points at; GET /openapi.json has the schema.{more if unknown else ''}"


def _fields(error: RequestValidationError) -> list[FieldError]:
    """Each place once: a member that fits no branch of a union is reported by pydantic once a branch. Branches of
    another type than the value has are left out where a branch of its type says what is wrong with it."""
    found = [(_field(entry, error.body), _of_another_type(entry)) for entry in error.errors()]
    places = [field.pointer for field, another in found if not another]
    fields = [field for field, another in found if not (another and any(_within(at, field.pointer) for at in places))]
    return [field for at, field in enumerate(fields) if field not in fields[:at]]


def _of_another_type(entry: dict[str, Any]) -> bool:
    """Whether pydantic says that the value's JSON type is wrong: a choice among strings for what is no string, too."""
    kind = str(entry["type"])
    return kind.endswith("_type") or (kind == "literal_error" and not isinstance(entry["input"], str))


def _within(place: str, outer: str) -> bool:
    return place == outer or place.startswith(f"{outer}/")


def _field(entry: dict[str, Any], body: Any) -> FieldError:
    place, *rest = entry["loc"]
    message = str(entry["msg"]).removeprefix("Value error, ")
    if entry["type"] == "json_invalid":
        return FieldError(pointer="", message=f"{entry['ctx']['error']} at character {rest[0]}")
    where = place if place in {"body", "query", "path", "header"} else "body"
    parts = members(body, rest, entry["type"] == "missing") if where == "body" else rest
    below = entry["ctx"]["pointer"] if entry["type"] == NOT_STORABLE else ""
    return FieldError(pointer=pointer(*parts) + below, message=message, **{"in": where})


def members(body: Any, parts: Sequence[Any], missing: bool = False) -> list[Any]:
    """Those parts of pydantic's location that are members of the body; it names branches of unions as well."""
    found: list[Any] = []
    for position, part in enumerate(parts):
        if (isinstance(body, dict) and part in body) or (
            isinstance(body, list) and isinstance(part, int) and part < len(body)
        ):
            body = body[part]
            found.append(part)
        elif missing and position == len(parts) - 1:
            found.append(part)
    return found


def pointer(*parts: object) -> str:
    """A JSON pointer (RFC 6901) to the nested member."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def respond(instance: str, error: Exception) -> JSONResponse:
    """The answer that a request to `instance` gets for `error`."""
    problem = problem_of(error)
    body = problem.document(instance).model_dump(mode="json", by_alias=True)
    return JSONResponse(body, problem.status, problem.headers, problems.MEDIA_TYPE)


async def handle(request: Request, error: Exception) -> JSONResponse:
    answer = respond(request.url.path, unreadable(error, request.headers) or error)
    if answer.status_code == 405:
        document = await run_in_threadpool(request.app.openapi)  # made when it is first asked for
        answer.headers["Allow"] = ", ".join(allowed(document, request.url.path))
    return answer


def allowed(document: dict[str, Any], path: str) -> list[str]:
    """All methods of a path. The router's own answer names those of the first route that matches, one a method."""
    methods = {
        method.upper()
        for template, item in document["paths"].items()
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
        for method in item
    }
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def install(app: FastAPI) -> None:
    """Answer every exception by `handle`."""
    for kind in problem_of.registry:
        app.add_exception_handler(Exception if kind is object else kind, handle)
