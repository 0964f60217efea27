"""Documents of studies as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table

from client.render import age, bar, status, table
from client.types import Event, Study, Trial


def studies(rows: Iterable[Study]) -> Table:
    made = table("ID", "NAME", "STRATEGY", "STATUS", "TRIALS", "FAILED", "PRUNED", "AGE")
    for row in rows:
        counts = row["counts"]
        done = (
            f"{sum(counts[name] for name in ('succeeded', 'pruned', 'failed'))} of {row['budget']['trials'] or 'any'}"
        )
        facts = (done, str(counts["failed"]), str(counts["pruned"]), age(row["created_at"]))
        made.add_row(row["id"], escape(row["name"]), row["strategy"]["name"], status(row["status"]), *facts)
    return made


def trials(rows: Iterable[Trial]) -> Table:
    made = table("NUMBER", "CONFIGURATION", "SEED", "STATE", "VALUES", "JOB")
    for row in rows:
        values = " ".join(f"{name}={value:.5g}" for name, value in (row["values"] or {}).items())
        state = row["outcome"] or row["state"]
        facts = (str(row["number"]), str(row["configuration"]), str(row["seed"]), state, values, row["job"] or "")
        made.add_row(*facts)
    return made


def rows(found: dict[str, Any]) -> Table:
    """Configurations: what they vary, the objectives, and the difference to the base job in words."""
    names = [each["name"] for each in found["objectives"]]
    made = table(
        "CONFIGURATION", "VARIES", *(name.upper() for name in names), "AGAINST THE BASE JOB", "TRIALS", "FAILED"
    )
    for row in found["rows"]:
        values = [_spread(row["values"].get(name)) for name in names]
        number = "base job" if row["configuration"] == 0 else str(row["configuration"])
        runs = (str(row["runs"]["trials"]), str(row["runs"]["failed"]))
        made.add_row(number, escape(assigned(row["assignment"])), *values, _difference(row["difference"]), *runs)
    return made


def assigned(assignment: dict[str, Any]) -> str:
    """`learning_rate=0.01 recipe=logit`."""
    return " ".join(f"{name.rpartition('/')[2]}={_plain(value)}" for name, value in assignment.items())


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _spread(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    return f"{found['mean']:.5g}" + ("" if found["sd"] is None else f" ± {found['sd']:.2g}") + f" ({found['n']})"


def _difference(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    span = "" if found["low"] is None else f" ({found['low']:+.3g} to {found['high']:+.3g})"
    return f"{found['mean']:+.3g}{span}: {found['verdict']}"


def front(found: dict[str, Any]) -> Table:
    made = table("CONFIGURATION", found["x"]["name"].upper(), found["y"]["name"].upper(), "JOB")
    for point in found["points"]:
        if point["best"]:
            made.add_row(str(point["configuration"]), f"{point['x']:.6g}", f"{point['y']:.6g}", point["job"] or "")
    return made


def points(found: dict[str, Any]) -> Table:
    """Series by series, from left to right, with intervals."""
    heads = [] if found["series"] is None else [found["series"]["label"].upper()]
    y = found["y"]["name"].upper()
    made = table("CONFIGURATION", *heads, found["x"]["label"].upper(), y, "95 % INTERVAL", "SEEDS", "JOB")
    for line in found["lines"]:
        for each in line["points"]:
            number = "base job" if each["configuration"] == 0 else str(each["configuration"])
            span = "-" if each["low"] is None else f"{each['low']:.5g} to {each['high']:.5g}"
            x = f"{each['x']:.6g}" if each["layer"] is None else f"{each['x']:.6g} ({each['layer']})"
            facts = [x, f"{each['y']:.5g}", span, str(each["n"]), each["job"] or ""]
            made.add_row(number, *([escape(line["label"])] if heads else []), *map(escape, facts))
    return made


def shares(found: dict[str, Any]) -> Table:
    made = table("PLACE", "SHARE", "")
    for place, share in found["shares"].items():
        made.add_row(escape(place), f"{100 * share:.0f} %", bar(share, 1.0))
    return made


def line(event: Event) -> str:
    """An event in a line."""
    data = event["data"]
    if event["kind"] != "trial":
        return f"{event['kind']}: " + ", ".join(f"{name} {_plain(value)}" for name, value in data.items())
    values = " ".join(f"{name}={value:.5g}" for name, value in (data["values"] or {}).items())
    head = f"trial {data['number']} (configuration {data['configuration']}, seed {data['seed']})"
    return f"{head}: {data['outcome'] or data['state']} {values}".rstrip()
