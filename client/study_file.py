"""A study from a file: what it names is registered, the study is begun once, followed to its end, and written down.

The file holds the body of `POST /studies`. In its `base` the dataset may be files here (`{"files": {"train": ...,
"test": ...}}` or `{"file": ...}`, with `name` and `task` where wanted), and the teacher a checkpoint here
(`{"file": ..., "architecture": ..., "options": ...}`) or a job that trains it first (`{"job": {"student": ...,
"config": ...}}`), whose own dataset and teacher may be described so too. So may each of several teachers, and the
choices of `/teacher` in the space. Paths are relative to a folder that the caller names.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

import httpx

from client.api import Retort
from client.errors import JobFailed, ProblemError, Unusable
from client.session import json_object
from client.types import Job, Study

NOTE = "made.json"
NOUNS = {"dst_": "datasets", "tch_": "teachers", "job_": "jobs", "stu_": "studies"}
LIMITS = ("trials", "minutes")
TEACHER = "/teacher"
DESCRIBED = "described"  # in the note: of what each thing was made
Body = dict[str, Any]
Say = Callable[[str], None]


class StudyFile:
    """One study in one folder. What was made for it is noted there, so that the same call again goes on. `service`:
    where all of it is, in words that the note keeps: a URL, or the folder's own service."""

    def __init__(self, retort: Retort, body: Body, data: Path, output: Path, say: Say, service: str) -> None:
        self._retort, self._body, self._data, self._say, self._service = retort, body, data, say, service
        self._output, self._note = output, output / NOTE
        self._made: Body = json.loads(self._note.read_text()) if self._note.exists() else {}

    def begun(self) -> Study:
        """The study, made now or found; with more trials or minutes than before it is extended. Raises
        `Unusable` where the folder holds another study, or what was made is not at this service."""
        asked = _asked(self._body)
        if "study" in self._made and self._made["asked"] != asked:
            raise Unusable(
                f"{self._output} holds the study of another file.", "Give another --output, or the file as it was."
            )
        self._check_service()
        self._keep("asked", asked)
        self._keep("service", self._service)
        if "study" not in self._made:
            body = copy.deepcopy(self._body)
            body["base"] = self._base(body.get("base") or {})
            body["space"] = self._space(body.get("space") or {}, body["base"].get("dataset"))
            key = f"study-{_digest(body)}"
            self._keep("study", self._retort.create_study(idempotency_key=key, **body)["id"])
            return self._retort.study(self._made["study"])
        return self._extended(self._retort.study(self._made["study"]))

    def _check_service(self) -> None:
        """What was made last must be here. Whether the service has the URL that it had does not matter."""
        made = [value for value in self._made.values() if isinstance(value, str) and value[:4] in NOUNS]
        if not made:
            return
        try:
            self._retort.get(f"/{NOUNS[made[-1][:4]]}/{made[-1]}")
        except ProblemError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            begun = self._made.get("service", self._service)
            raise Unusable(
                f"{self._output} holds a study begun at {begun}, and {made[-1]} of it is not at {self._service}.",
                f"Give the --url of {begun}, or another --output to begin anew.",
            ) from error

    def _extended(self, study: Study) -> Study:
        """By what the study has itself, so that one that was interrupted here is not extended twice."""
        before, now = study["budget"], self._body.get("budget") or {}
        more = {name: now[name] - before[name] for name in LIMITS if None not in (now.get(name), before[name])}
        more = {name: value for name, value in more.items() if value > 0}
        return self._retort.extend_study(study["id"], **more) if more else study

    def _base(self, base: Body, place: str = "") -> Body:
        """The base job with ids where it describes a dataset and teachers; `place` tells whose it is, in the note."""
        found = dict(base)
        if _described(dataset := base.get("dataset")) and "named" not in dataset:
            found["dataset"] = self._once(f"{place}dataset", dataset, lambda: self._dataset(dataset))
        if "teacher" in base:
            found["teacher"] = self._teachers(base["teacher"], f"{place}teacher", found.get("dataset"))
        return found

    def _space(self, space: Body, dataset: Any) -> Body:
        """The space with ids where choices of the teacher describe it."""
        choices = (space.get(TEACHER) or {}).get("choices")
        if not isinstance(choices, list):
            return space
        found = [self._teachers(each, f"choice_{number}", dataset) for number, each in enumerate(choices)]
        return space | {TEACHER: space[TEACHER] | {"choices": found}}

    def _teachers(self, given: Any, place: str, dataset: Any) -> Any:
        if isinstance(given, list):
            return [self._teachers(each, f"{place}_{number}", dataset) for number, each in enumerate(given)]
        if not _described(given):
            return given
        return self._once(place, [given, dataset], lambda: self._teacher(given, place, dataset))

    def _dataset(self, given: Body) -> str:
        rest = {name: given[name] for name in ("name", "task") if name in given}
        files: dict[str, Any] = {role: self._there(path) for role, path in (given.get("files") or {}).items()}
        if "file" in given:
            return self._retort.add_dataset(self._there(given["file"]), **rest)["id"]
        return self._retort.add_dataset(**files, **rest)["id"]

    def _teacher(self, given: Body, place: str, dataset: Any) -> str:
        if "file" in given:
            path, options = self._there(given["file"]), given.get("options")
            return self._retort.add_teacher(path, given.get("architecture"), options, given.get("name", ""))["id"]
        if "job" not in given:
            raise Unusable("The file's teacher is neither a file nor a job.", 'Give {"file": ...} or {"job": ...}.')
        body = {"name": "teacher", "dataset": dataset} | given["job"]
        job_id = self._once(
            f"{place}_job", body, lambda: self._retort.submit(**self._base(body, f"{place}_job_"))["id"]
        )
        self._say(f"Training the teacher: {job_id}")
        job = self._retort.wait(job_id)
        if job["status"] != "succeeded":
            raise JobFailed(dict(job))
        return self._retort.teacher_from_job(job_id)["id"]

    def _there(self, path: str) -> Path:
        found = self._data / path
        if not found.exists():
            raise Unusable(f"There is no {found}.", "--data names the folder that the file's paths start from.")
        return found

    def _once(self, name: str, described: Any, make: Callable[[], str]) -> str:
        """What was made of this very description, now or before: a file that was refused may be put right, and keeps
        the teacher that was trained for it."""
        noted, digest = self._made.get(DESCRIBED, {}), _digest(described)
        if name not in self._made or noted.get(name) != digest:
            made = make()
            self._made[DESCRIBED] = self._made.get(DESCRIBED, {}) | {name: digest}
            self._keep(name, made)
        return str(self._made[name])

    def _keep(self, name: str, value: Any) -> None:
        self._made[name] = value
        part = self._note.with_suffix(".part")
        part.write_text(json.dumps(self._made, indent=1))
        part.replace(self._note)


def read(file: Path) -> Body:
    """Raises `Unusable` for what is no JSON object."""
    try:
        return json_object(file)
    except ValueError as error:
        raise Unusable(str(error), "Write the body of POST /studies.") from error


def write(retort: Retort, study: Study, output: Path) -> list[Path]:
    """study.md, study.json, table.csv, figure.svg and pareto.svg, as far as the study has come. study.json has the jobs
    that trained teachers too."""
    study_id, result = study["id"], study["result"] or {}
    bought = (result.get("student_budget") or {}).get("reading", "")
    said = [result.get("reading", f"It is {study['status']}."), bought]
    table = retort.study_table_as(study_id, "md").decode()
    document = {"schema": 2, "study": study, "table": retort.study_table(study_id)}
    document["trials"] = list(retort.study_trials(study_id))
    document["jobs"] = list(_jobs(retort, output / NOTE))
    files = {
        "study.md": (table + "\n" + "\n\n".join(text for text in said if text) + "\n").encode(),
        "study.json": json.dumps(document, indent=1).encode(),
        "table.csv": retort.study_table_as(study_id, "csv"),
        "figure.svg": retort.study_figure_as(study_id, "svg"),
        "pareto.svg": retort.study_pareto_as(study_id, "svg"),
    }
    for name, content in files.items():
        (output / name).write_bytes(content)
    return [output / name for name in files]


def _jobs(retort: Retort, note: Path) -> Iterator[Job]:
    """Those that a note names, and that are there still."""
    made = json.loads(note.read_text()) if note.exists() else {}
    for name, job_id in made.items():
        if name.endswith("_job"):
            try:
                yield retort.job(job_id)
            except ProblemError as error:
                if error.status != httpx.codes.NOT_FOUND:
                    raise


def _described(given: Any) -> TypeGuard[Body]:
    """Not an id of what the service has already."""
    return isinstance(given, dict)


def _digest(given: Any) -> str:
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def _asked(body: Body) -> str:
    """Digest of all but how much is tried, which may grow, and how many at once."""
    budget = {name: value for name, value in (body.get("budget") or {}).items() if name not in (*LIMITS, "parallel")}
    return _digest(body | {"budget": budget})
