"""Bodies that endpoints read themselves, as models, with the same errors that FastAPI's own bodies give."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.errors.problems import FieldError, Unprocessable
from api.http.uploads import Upload

M = TypeVar("M", bound=BaseModel)
LABEL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,63}")


def parsed(model: type[M], content: Any) -> M:
    """`content` as a model. Raises `RequestValidationError` with places in the body."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        entries = [entry | {"loc": ("body", *entry["loc"])} for entry in error.errors(include_url=False)]
        raise RequestValidationError(entries, body=content) from error


def form_fields(upload: Upload, json_fields: frozenset[str]) -> dict[str, Any]:
    """The form's fields; those in `json_fields` are themselves JSON."""
    return {name: _json(name, text) if name in json_fields else text for name, text in upload.fields.items()}


def only(upload: Upload, allowed: frozenset[str]) -> None:
    """Raise `Unprocessable` for files under other names, and for a text under the name of a file."""
    for name in sorted(set(upload.fields) & allowed):
        raise invalid(f"/{name}", f"{name} is a text, not a file.", f"Send a file; with curl: -F {name}=@PATH.")
    for name in sorted(set(upload.files) - allowed):
        raise invalid(f"/{name}", f"There is no file field named {name!r}.", f"Use {', '.join(sorted(allowed))}.")


def invalid(
    pointer: str, message: str, remedy: str = "", code: str = "invalid_request", **details: Any
) -> Unprocessable:
    """A 422 with one place."""
    error = FieldError(pointer=pointer, message=message, **{"in": "body"})
    return Unprocessable(message, remedy, code=code, errors=[error], details=details)


def invalid_query(pointer: str, message: str, remedy: str = "") -> Unprocessable:
    """A 422 for a parameter of the query."""
    error = FieldError(pointer=pointer, message=message, **{"in": "query"})
    return Unprocessable(message, remedy, errors=[error])


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(
            f"/{name}", f"{name} is not JSON.", f'Send {name} as JSON: true, 3, "a text", ["a", "list"], an object.'
        ) from error


def labels_filter(given: list[str] | None) -> dict[str, str]:
    """`name:value` pairs of a query. Raises `Unprocessable` for anything else."""
    labels: dict[str, str] = {}
    for text in given or []:
        name, colon, value = text.partition(":")
        if not colon or not LABEL_NAME.fullmatch(name):
            error = FieldError(pointer="/label", message=f"{text!r} is not name:value", **{"in": "query"})
            raise Unprocessable("A label filter is name:value.", "Write label=team:vision.", errors=[error])
        labels[name] = value
    return labels
