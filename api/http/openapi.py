"""What the generated OpenAPI document needs beside the endpoints: problems, security, upload bodies."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.errors import problems
from api.errors.codes import codes_of
from api.errors.problems import MEDIA_TYPE, ProblemDocument

Responses = dict[int | str, dict[str, Any]]
PROBLEM = {"$ref": "#/components/schemas/ProblemDocument"}
DESCRIPTION = """Retort distils large trained models into small ones.

Register a **teacher** (a checkpoint) and a **dataset**, submit a **job**, watch its Q curve fill layer by layer, and
download the student, the curve and the report. Every error is a problem document (RFC 9457) with a remedy.
"""
TAGS = [
    {"name": "uploads", "description": "Files too large for one request."},
    {"name": "teachers", "description": "Checkpoints to distil from."},
    {"name": "datasets", "description": "Labelled images or texts to distil on."},
    {"name": "jobs", "description": "Runs: scoring, distilling, evaluating."},
    {"name": "results", "description": "What a job has found and made."},
    {"name": "studies", "description": "Searches over jobs: which variation is better, and by how much."},
    {"name": "catalogue", "description": "Names that a job may use."},
    {"name": "webhooks", "description": "Be told when jobs change (Standard Webhooks)."},
    {"name": "keys", "description": "Who may do what, and how much of it."},
    {"name": "system", "description": "The service itself."},
]


def documented(*statuses: int, also: Responses | None = None) -> Responses:
    """`responses=` entries for these problems, and for the answers in `also`."""
    return (also or {}) | {status: _problem_response(status) for status in statuses}


def _problem_response(status: int, codes: Sequence[str] = ()) -> dict[str, Any]:
    """A status with those of its codes that the operation may answer with, and an example of each."""
    kind = problems.by_status()[status]
    codes = codes or (kind.code,)
    schema = {"allOf": [PROBLEM, {"properties": {"code": {"enum": list(codes)}}}]}
    examples = {code: {"value": _example(kind, code)} for code in codes}
    return {"description": kind.title, "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}


def _example(kind: type[problems.Problem], code: str) -> dict[str, Any]:
    return {
        "type": f"/problems/{code.replace('_', '-')}",
        "title": kind.title,
        "status": kind.status,
        "detail": f"{code.replace('_', ' ').capitalize()}: what is wrong, in a sentence.",
        "instance": "/jobs",
        "code": code,
        "remedy": "What to do about it.",
        "fault": kind.fault,
        "retryable": kind.retryable,
        "errors": [],
        "details": {},
    }


#: Models that FastAPI does not see in a signature.
_extra_models: list[type[BaseModel]] = [ProblemDocument]

_exampled: list[type[BaseModel]] = []
M = TypeVar("M", bound=type[BaseModel])


def keep_examples(model: M) -> M:
    """Class decorator: FastAPI drops every null member from the document, examples' members too; put them back."""
    _exampled.append(model)
    return model


#: Any endpoint may answer these.
COMMON = documented(400, 401, 403, 422, 429, 500, 503)


What = type[BaseModel] | tuple[type[BaseModel], ...] | dict[str, Any]


def body(**media: tuple[What, dict[str, Any]]) -> dict[str, Any]:
    """`openapi_extra` of an endpoint that reads its body itself: `json=(model, example)`, with several
    models `json=((model, model), example)`, and `form=(schema, example)`."""
    names = {"json": "application/json", "form": "multipart/form-data"}
    content = {names[kind]: {"schema": _schema(what), "example": example} for kind, (what, example) in media.items()}
    return {"requestBody": {"required": True, "content": content}}


def _schema(what: What) -> dict[str, Any]:
    if isinstance(what, dict):
        return what
    if isinstance(what, tuple):
        return {"anyOf": [_schema(model) for model in what]}
    _extra_models.append(what)
    return {"$ref": f"#/components/schemas/{what.__name__}"}


def install(app: FastAPI) -> None:
    """Replace the app's OpenAPI generator by one that knows problem documents."""

    making = threading.Lock()

    def generate() -> dict[str, Any]:
        with making:
            if app.openapi_schema is None:
                app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = generate  # type: ignore[method-assign]

    def openapi_document() -> JSONResponse:
        return JSONResponse(app.openapi())

    app.add_api_route("/openapi.json", openapi_document, methods=["GET"], include_in_schema=False)


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS)
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in _extra_models:
        schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {}) | {model.__name__: schema}
    for model in _exampled:
        schemas[model.__name__]["examples"] = model.model_json_schema()["examples"]
    for item in document["paths"].values():
        for method, operation in item.items():
            _name_codes(method, operation)
    if not app.state.context.settings.api_key.get_secret_value():
        _without_keys(document)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _name_codes(method: str, operation: dict[str, Any]) -> None:
    for status, codes in codes_of(method, operation).items():
        operation["responses"][str(status)] = _problem_response(status, codes)
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _without_keys(document: dict[str, Any]) -> None:
    """Embedded mode asks for no key, and its document does not say that it does."""
    document["components"].pop("securitySchemes", None)
    for item in document["paths"].values():
        for operation in item.values():
            operation.pop("security", None)
            operation["responses"].pop("401", None)
