"""`retort doctor`: run where a service or a worker runs, with its environment."""

from __future__ import annotations

import json

import click

MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> int:
    """Check settings, servers, disks, slots, leases and orphans here.

    Exit code 0: nothing failed (warnings allowed); 1: something did.
    """
    import logging

    from worker.doctor import checks
    from worker.isolation import root

    root.leave()  # in a container: what is checked is what the worker may

    logging.getLogger("alembic").setLevel(logging.WARNING)
    findings = checks.run()
    failed = any(finding.status == "fail" for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "findings": [each.to_dict() for each in findings]}, indent=1))
        return int(failed)
    for finding in findings:
        mark, colour = MARKS[finding.status]
        click.echo(f"{click.style(mark, fg=colour)}  {finding.name:13} {finding.message}")
        if finding.remedy:
            click.echo(f"{'':19} -> {finding.remedy}")
    return int(failed)
