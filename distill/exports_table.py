"""What exported files are worth, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Found = Mapping[str, Any]


def exports_table(found: Found) -> str:
    """`found`: what `exports.json` says. Markdown: one row for torch and one a file."""
    metric = found["metric"]
    title = f"| | test {metric['label']} | lost | agreement with the student | largest difference | bytes |"
    lines = [f"{title} ms, batch 1 | ms, batch 32 |", "|---" * 8 + "|"]
    for name, torch in found["torch"].items():
        cells = [_share(torch["figure"]), "", "", "", f"{torch['bytes']:,}", *_latency(torch)]
        lines.append(f"| {name} in torch | " + " | ".join(cells) + " |")
    lines += [_row(entry) for entry in found["exports"]]
    told = [*filter(None, (_others(entry, found) for entry in found["exports"]))]
    told += [f"* No {each['format']}: {each['error']['message']}" for each in found["failed"]]
    marked = [f"* {_name(each)} loses more than its max_drop." for each in found["exports"] if each["exceeds_max_drop"]]
    return "\n".join([*lines, "", _note(found), *([""] if told or marked else []), *marked, *told])


def _others(entry: Found, found: Found) -> str:
    """The file's other figures, torch's in brackets."""
    own, torchs = entry.get("metrics", {}), found["torch"][entry["network"]].get("metrics", {})
    shown = [
        f"{each['label']} {own[each['name']]:.5g} ({torchs[each['name']]:.5g})"
        for each in found.get("metrics", [])
        if each["name"] in own and each["name"] in torchs and each["name"] != found["metric"]["name"]
    ]
    return f"* `{_name(entry)}`, in brackets torch: {', '.join(shown)}." if shown else ""


def _row(entry: Found) -> str:
    lost = "" if entry["drop"] is None else f"{100 * entry['drop']:.2f}"
    marked = "**" if entry["exceeds_max_drop"] else ""
    cells = [
        _share(entry.get("figure")), f"{marked}{lost}{marked}", _share(entry.get("agreement")),
        f"{entry['largest_difference']['value']:.2g}", f"{entry['bytes']:,}", *_latency(entry),
    ]  # fmt: skip
    return f"| `{_name(entry)}` | " + " | ".join(cells) + " |"


def _name(entry: Found) -> str:
    return str(entry["files"][0]["name"])


def _latency(told: Found) -> list[str]:
    return [f"{told['latency'][count]['median_ms']:.2f}" for count in ("1", "32")]


def _share(figure: Any) -> str:
    """A share with its interval, in per cent; another figure as it is."""
    if figure is None:
        return ""
    if not isinstance(figure, Mapping):
        return f"{figure:.4f}"
    if "low" not in figure:
        return f"{figure['value']:.4f}"
    value, low, high = (f"{100 * figure[key]:.2f}" for key in ("value", "low", "high"))
    return f"{value} % ({low} to {high})"


def _note(found: Found) -> str:
    torch = next(iter(found["torch"].values()))
    first = torch["latency"]["1"]
    scale = "points" if found["metric"]["unit"] == "share" else "per cent"
    samples = torch["figure"].get("n") if isinstance(torch["figure"], Mapping) else None
    told = "" if samples is None else f"Lost: {scale}, on the test set (n = {samples}). "
    where = f"on the {first['device']} with {first['threads']} threads"
    return f"{told}Latency: median of one pass, {where}, each file in its own runtime, torch in eager mode."
