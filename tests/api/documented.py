"""Holds every answer that a test sees to the OpenAPI document: its status, and a problem's code."""

from __future__ import annotations

import re
from typing import Any

import httpx

PROBLEM = "application/problem+json"
#: Of paths and methods that are none of the document's.
OUTSIDE = {"not_found", "method_not_allowed"}

_documents: dict[bool, dict[str, Any]] = {}


def hold(client: httpx.Client, app: Any) -> None:
    """Fail whatever request of `client` is answered other than the document of `app` says."""
    keyed = bool(app.state.context.settings.api_key.get_secret_value())
    if keyed not in _documents:  # nothing else of the settings changes the document, and making it takes a second
        _documents[keyed] = app.openapi()
    document = _documents[keyed]
    client.event_hooks = {"response": [lambda response: check(document, response)]}


def check(document: dict[str, Any], response: httpx.Response) -> None:
    method, path = response.request.method.lower(), response.request.url.path
    operation = find(document, "get" if method == "head" else method, path)
    if operation is None:
        return
    answer = operation["responses"].get(str(response.status_code))
    assert answer is not None, f"{method} {path} answers {response.status_code}, which is not documented"
    if response.headers.get("content-type") != PROBLEM or method == "head":
        return
    response.read()
    code = response.json()["code"]
    codes = answer["content"][PROBLEM]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    assert code in codes, f"{operation['operationId']} answers {response.status_code} {code}, which is not documented"


def find(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation of a request: of two templates that match, the one with fewer parameters."""
    found = [
        (template.count("{"), item[method])
        for template, item in document["paths"].items()
        if method in item and re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
    ]
    return min(found, key=lambda each: each[0])[1] if found else None
