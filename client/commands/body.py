"""The bodies of POST /jobs and POST /studies from a file and from options beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from client.session import json_object

FILE = "--file"
BUDGET = ("trials", "minutes", "parallel")


def read(file: Path | None) -> dict[str, Any]:
    """The file's object; an empty one without a file. Raises `click.BadParameter` for what is no JSON object."""
    if file is None:
        return {}
    try:
        return json_object(file)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=FILE) from error


def with_search(body: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a study with what options say of its search; None: nothing. Those of `BUDGET` go into its budget."""
    given = {name: value for name, value in options.items() if value is not None}
    budget = {name: given.pop(name) for name in BUDGET if name in given}
    return body | given | ({"budget": (body.get("budget") or {}) | budget} if budget else {})


def with_student(body: dict[str, Any], name: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """The body with another student's name, or with options beside or instead of its student's own. Raises
    `click.UsageError` for options of no student."""
    if name is None and not options:
        return body
    student = body.get("student")
    given = {"name": student} if isinstance(student, str) else _section(body, "student")
    student = given | ({"name": name} if name is not None else {})
    if "name" not in student:
        raise click.UsageError("--option is for a student: name one with --student, or in --file.")
    return body | {"student": student | {"options": _section(student, "options") | options}}


def with_teachers(body: dict[str, Any], teachers: tuple[str, ...]) -> dict[str, Any]:
    """The body with one teacher by its id, or with several."""
    if not teachers:
        return body
    return body | {"teacher": teachers[0] if len(teachers) == 1 else list(teachers)}


def with_dataset(body: dict[str, Any], dataset: str | None) -> dict[str, Any]:
    """The body with a dataset by its id, or by the name of a set in the catalogue."""
    if dataset is None:
        return body
    return body | {"dataset": dataset if dataset.startswith("dst_") else {"named": dataset}}


def with_weights(body: dict[str, Any], start: str | None, named: dict[str, str]) -> dict[str, Any]:
    """The body with a student that starts from a teacher or from a job's student, by its id; `named`: the map of
    names. Raises `click.UsageError` for a body without a student, and for a map without weights."""
    if start is None:
        if named:
            raise click.UsageError("--map says what of the weights goes where: name them with --weights.")
        return body
    if not body.get("student"):
        raise click.UsageError("--weights is for a student: name one with --student, or in --file.")
    student = body["student"] if isinstance(body["student"], dict) else {"name": body["student"]}
    weights = {"artifact": {"job_id": start}} if start.startswith("job_") else {"teacher": start}
    return body | {"student": student | {"weights": weights | ({"map": named} if named else {})}}


def with_config(body: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The body with these fields of its config. Raises `click.BadParameter`."""
    return body | {"config": _section(body, "config") | config} if config else body


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    found = document.get(name)
    if found is not None and not isinstance(found, dict):
        raise click.BadParameter(f"its {name!r} is no JSON object ({{...}}).", param_hint=FILE)
    return found or {}
