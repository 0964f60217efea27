"""The body of POST /jobs from a file and from options beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from client.session import strict_json

FILE = "--file"


def read(file: Path | None) -> dict[str, Any]:
    """The file's object; an empty one without a file. Raises `click.BadParameter` for what is no JSON object."""
    if file is None:
        return {}
    try:
        body = strict_json(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{file} is no JSON: {error}", param_hint=FILE) from error
    if not isinstance(body, dict):
        raise click.BadParameter(f"{file} holds no JSON object ({{...}}).", param_hint=FILE)
    return body
