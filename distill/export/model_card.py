"""A README for the student, with a snippet that loads it, and the files for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.choice_table import choice_table
from distill.export._base import Artifact, Context, write_text
from distill.exports_table import exports_table


def export(context: Context, folder: Path) -> list[Artifact]:
    parts = [context.delivery.card(context).rstrip() + "\n", _choice(context), _exports(context)]
    return [write_text(folder, "README.md", "\n".join(part for part in parts if part), "text/markdown")]


def _choice(context: Context) -> str:
    choice = context.report.get("choice")
    return f"## How the recipe was chosen\n\n{choice_table(choice)}\n" if choice else ""


def _exports(context: Context) -> str:
    """The section of the student's exports: what each is worth, and a program that runs one without Retort."""
    found: dict[str, Any] = context.report.get("exports") or {"exports": []}
    own = [each for each in found["exports"] if each["network"] == context.name]
    programs = [_program(each) for each in own if each["snippet"]]
    if not own:
        return ""
    return "\n".join(["## Files for other runtimes", "", exports_table(found), "", *programs[:1]])


def _program(entry: dict[str, Any]) -> str:
    name, runtime = entry["files"][0]["name"], entry["runtime"]
    told = f"`{name}`, run by {runtime['name']} {runtime['version']}; `exports.json` has such a program for every file:"
    return f"{told}\n\n```python\n{entry['snippet']}```\n"


ENTRY = export
