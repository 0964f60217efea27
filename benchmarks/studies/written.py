"""`python -m benchmarks.studies.written FOLDER [FOLDER ...] --write FILE`: one page about studies of
`retort study --file`: what each was of, what it found, and what its search bought against the default job, which is the
largest student within the budget with every setting at its default.

FOLDER is the study's `--output`. One that has not ended is told as far as it has come.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Json = dict[str, Any]
BASE = 0
ACCURACY = "accuracy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--note", default="", help="What a reader must know besides.")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    text = "\n".join(page(given.folders, given.note)) + "\n"
    print(text)
    if given.write:
        given.write.write_text(text)


def page(folders: Sequence[Path], note: str) -> Iterator[str]:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    yield "# Students by a budget, searched on real data"
    yield ""
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m benchmarks.studies.written`, commit {commit}, {platform.machine()}, "
        f"{os.cpu_count()} CPU cores, {threads} threads, fp32. {note}".strip()
    )
    for folder in folders:
        yield ""
        yield from section(folder)


def section(folder: Path) -> Iterator[str]:
    document = json.loads((folder / "study.json").read_text())
    study, trials = document["study"], document["trials"]
    yield f"## {study['name']}"
    yield ""
    yield _settings(study)
    for job in document.get("jobs", []):
        yield _teacher(job)
    yield ""
    yield from _found(folder)
    yield ""
    yield "### What the search bought"
    yield ""
    yield from bought(study, trials)


def _settings(study: Json) -> str:
    base, budget = study["base"], study["budget"]
    config = ", ".join(f"`{name}` {value}" for name, value in sorted(base["config"].items()))
    space = "; ".join(f"`{place}`: {_domain(domain)}" for place, domain in study["space"].items())
    limits = ", ".join(f"{value:g} {name}" for name, value in budget.items() if value is not None)
    return (
        f"Every job: {config}. Default student: `{json.dumps(base['student'])}`. Space: {space}. Strategy "
        f"`{study['strategy']['name']}`, {limits}, {len(study['seeds'])} seed(s), confirmed by {study['confirm']}."
    )


def _domain(domain: Json) -> str:
    if "choices" not in domain:
        return f"{domain['low']:g} to {domain['high']:g}" + (" by ratio" if domain.get("log") else "")
    choices = domain["choices"]
    return f"{len(choices)} students" if len(choices) > 8 else ", ".join(map(str, choices))


def _teacher(job: Json) -> str:
    result = job.get("result") or {}
    student = result.get("student") or {}
    config = job["config"]
    accuracy = student.get(ACCURACY, {}).get("value")
    told = "it has not ended" if accuracy is None else f"{100 * accuracy:.2f} % on the test set"
    return (
        f"Teacher: `{job['student']['name']}` by `{config['recipe']}`, {config['epochs']} epochs of "
        f"{config['train_limit'] or 'all'} samples: {told}."
    )


def _found(folder: Path) -> Iterator[str]:
    """The service's own table and words, one heading further down."""
    for line in (folder / "study.md").read_text().rstrip().splitlines()[2:]:
        yield f"##{line}" if line.startswith("## ") else line


def bought(study: Json, trials: Sequence[Json]) -> Iterator[str]:
    search = [each for each in trials if each["purpose"] == "search"]
    minutes = sum(each["seconds"] or 0 for each in search) / 60
    ended = [each for each in search if each["state"] in ("succeeded", "pruned")]
    given_up = sum(each["state"] == "pruned" for each in ended)
    yield (
        f"{len(ended)} trials of the search ended ({given_up} given up early) in {minutes:.0f} minutes under a worker. "
        + _default(trials)
    )
    result = study["result"]
    if study["status"] != "succeeded" or result is None:
        yield ""
        yield f"**The study has not ended** (it is {study['status']}, {study['phase']}): nothing of it is confirmed."
        return
    yield ""
    yield "| | configuration | validation, fresh seeds | test, fresh seeds | bytes | minutes a run |"
    yield "|---|---|---|---|---|---|"
    fresh = set(result["fresh_seeds"])
    reported = {"default job": BASE, "winner": result["winner"]}
    if result["winner"] == BASE:
        del reported["winner"]
    for name, number in reported.items():
        yield _row(name, number, [each for each in trials if each["configuration"] == number], fresh)


def _default(trials: Sequence[Json]) -> str:
    ours = [each["seconds"] for each in trials if each["configuration"] == BASE and each["state"] == "succeeded"]
    return f"One default job takes {statistics.mean(ours) / 60:.1f} minutes." if ours else "No default job has ended."


def _row(name: str, number: int, trials: Sequence[Json], fresh: set[int]) -> str:
    known = [each for each in trials if each["state"] == "succeeded"]
    counted = [each for each in known if each["seed"] in fresh] or known
    values, tests = ([each[key][ACCURACY] for each in counted if each[key]] for key in ("values", "test"))
    size = f"{counted[0]['values']['bytes']:,.0f}" if counted else "-"
    minutes = f"{statistics.mean(each['seconds'] for each in counted) / 60:.1f}" if counted else "-"
    return f"| {name} | {number} | {_spread(values)} | {_spread(tests)} | {size} | {minutes} |"


def _spread(values: Sequence[float]) -> str:
    """In percent."""
    if not values:
        return "-"
    deviation = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{deviation} ({len(values)})"


if __name__ == "__main__":
    main()
