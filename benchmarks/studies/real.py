"""`python -m benchmarks.studies.real DEFINITION --data FOLDER --folder OUT [--write TABLE]`: a study as users run it,
from a teacher that a job trains to the table and its reading.

DEFINITION (`benchmarks/studies/*.json`): `data` (`files`: role -> path below --data, or `module`: the function of
`benchmarks` that writes them), `teacher` (a job, or `folder`: the function that finds one), `study` (the body of
`POST /studies` without teacher and dataset). The service is one of our own in OUT. Interrupted, it goes on there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client import local_service
from client.api import Retort
from client.types import Study

NOTE = "made.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("definition", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="where the files of `data` lie")
    parser.add_argument("--folder", type=Path, required=True, help="service and state; an interrupted study goes on")
    parser.add_argument("--write", type=Path, help="append what was found to this file")
    parser.add_argument("--minutes", type=float, help="in place of the definition's")
    given = parser.parse_args()
    definition = json.loads(given.definition.read_text())
    files = {role: given.data / name for role, name in definition["data"]["files"].items()}
    absent = [str(path) for path in files.values() if not path.is_file()]
    if absent:
        raise SystemExit(f"NOT RUN: the data are absent: {', '.join(absent)}. --data names the folder that has them.")
    if given.minutes:
        definition["study"]["budget"]["minutes"] = given.minutes
    given.folder.mkdir(parents=True, exist_ok=True)
    with local_service.running(given.folder / "service", given.folder / "service.log", print) as url, Retort(url) as at:
        study = run(at, definition, files, given.folder / NOTE)
        lines = told(at, definition, study, given.definition)
    print("\n".join(lines))
    if given.write:
        with given.write.open("a") as file:
            file.write("\n".join(lines) + "\n")


def run(retort: Retort, definition: dict[str, Any], files: dict[str, Path], note: Path) -> Study:
    """What is made is noted, so that another run finds it."""
    made: dict[str, str] = json.loads(note.read_text()) if note.exists() else {}

    def keep(name: str, row_id: str) -> str:
        made[name] = row_id
        note.write_text(json.dumps(made))
        return row_id

    if "dataset" not in made:
        keep("dataset", retort.add_dataset(**files, name=definition["data"]["name"])["id"])
    if "job" not in made:
        keep("job", retort.submit(dataset=made["dataset"], name="teacher", **definition["teacher"])["id"])
    if "teacher" not in made:
        if retort.wait(made["job"])["status"] != "succeeded":
            raise SystemExit(f"The teacher's job {made['job']} did not succeed.")
        keep("teacher", retort.teacher_from_job(made["job"])["id"])
    if "study" not in made:
        body = dict(definition["study"])
        body["base"] = body["base"] | {"teacher": made["teacher"], "dataset": made["dataset"]}
        keep("study", retort.create_study(name=definition["title"], **body)["id"])
    for event in retort.study_events(made["study"]):
        if event["kind"] == "trial" and event["data"]["state"] != "active":
            print(datetime.now(UTC).strftime("%H:%M:%S"), json.dumps(event["data"]), flush=True)
    return retort.study(made["study"])


def told(retort: Retort, definition: dict[str, Any], study: Study, file: Path) -> list[str]:
    """The study in Markdown: how it was run, the reading, the table."""
    result: dict[str, Any] = study["result"] or {}
    teacher = retort.report(_note_of(retort, study))["student"] if _note_of(retort, study) else {}
    accuracy = teacher.get("accuracy", {}).get("value")
    head = [
        f"\n## {definition['title']}\n",
        f"`python -m benchmarks.studies.real {file}`, {time.strftime('%Y-%m-%d')}, {platform.machine()}, "
        f"{os.cpu_count()} cores that others used too; {study['used_minutes']:.0f} minutes under a worker, "
        f"trials: {json.dumps(study['counts'])}. Status: {study['status']}.",
        f"Teacher: {definition['teacher']['student']['name']}, test accuracy {accuracy}.\n",
        f"**{result.get('reading', 'It has not ended.')}**\n",
        str((result.get("student_budget") or {}).get("reading", "")) + "\n",
        retort.study_table_as(study["id"], "md").decode(),
    ]
    return [line for line in head if line.strip()]


def _note_of(retort: Retort, study: Study) -> str | None:
    """The job that trained the teacher."""
    return next((job["id"] for job in retort.jobs() if job["name"] == "teacher"), None)


if __name__ == "__main__":
    main()
