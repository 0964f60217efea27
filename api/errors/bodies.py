"""Bodies whose bytes cannot be read as what they say they are: what is wrong with them, and what to send instead."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.errors.problems import BadRequest, Problem, UnsupportedMediaType


def compressed(headers: Mapping[str, str]) -> UnsupportedMediaType | None:
    """The problem of a body with a `Content-Encoding`, as gzip; None without one."""
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in {"", "identity"}:
        return None
    remedy = "Send the body as it is, without Content-Encoding. A file may be compressed; a request may not."
    detail = f"The body is encoded as {coding[:80]!r}, which this service does not take."
    return UnsupportedMediaType(detail, remedy, headers={"Accept-Encoding": "identity"})  # RFC 9110, 15.5.16


def unreadable(error: Exception, headers: Mapping[str, str]) -> Problem | None:
    """What `error` is, where it came of a JSON body that could not be read; None for every other."""
    if not _of_parsing(error):
        return None
    packed = compressed(headers)
    if packed is not None:
        return packed
    if isinstance(error.__cause__, UnicodeDecodeError):
        at = error.__cause__.start
        remedy = "Encode the JSON as UTF-8, whatever the rest of your data is in (RFC 8259)."
        return BadRequest(f"The body is not UTF-8: byte {at} is not.", remedy, code="malformed_json")
    if isinstance(error, HTTPException):
        return BadRequest("The body is not JSON that can be read.", "Send one JSON object.", code="malformed_json")
    return None


def _of_parsing(error: Exception) -> bool:
    if isinstance(error, HTTPException):  # FastAPI's, for whatever its JSON parser raises that is no JSON error
        return error.status_code == 400 and error.__cause__ is not None
    return isinstance(error, RequestValidationError) and any(each["type"] == "json_invalid" for each in error.errors())
