"""What every problem document must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Answer(Protocol):
    """Of any client: Starlette's test client answers by a library of its own choice."""

    @property
    def status_code(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def json(self) -> Any: ...


def problem(response: Answer, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document of the answer, checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["instance"].startswith("/")
    assert document["title"]
    assert document["detail"].endswith((".", ")."))
    assert document["fault"] == ("user" if status < 500 else "system")
    if code is not None:
        assert document["code"] == code, document
        assert document["remedy"]
    return document


def pointers(document: dict[str, Any]) -> set[str]:
    return {error["pointer"] for error in document["errors"]}
