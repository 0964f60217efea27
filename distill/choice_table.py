"""How a recipe was chosen (`recipe: auto`), for people: a sentence and a table in Markdown. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def choice_table(choice: Mapping[str, Any]) -> str:
    """A row a recipe, its value after every rung; of those that were left out, why."""
    steps = choice["rungs"]
    heads = [f"{choice['metric']['label']} after {count} steps" for count in steps]
    lines = [f"{choice['reason']}", "", "| recipe | " + " | ".join([*heads, "note"]) + " |"]
    lines.append("|---" * (len(steps) + 2) + "|")
    for row in choice["table"]:
        values = [_value(row["values"][i] if i < len(row["values"]) else None, choice) for i in range(len(steps))]
        note = "**chosen**" if row["recipe"] == choice["recipe"] else row["note"].replace("|", "\\|")
        lines.append(f"| {row['recipe']} | " + " | ".join([*values, note.replace("\n", " ")]) + " |")
    return "\n".join(lines)


def _value(value: float | None, choice: Mapping[str, Any]) -> str:
    if value is None:
        return ""
    return f"{100 * value:.2f} %" if choice["metric"]["unit"] == "share" else f"{value:.4g}"
