"""A typed client of the service.

with Retort("http://127.0.0.1:8000") as retort:
    teacher = retort.add_teacher("resnet34.safetensors", "timm:resnet34")
    job = retort.submit(teacher=teacher["id"], dataset={"named": "fashion-mnist"}, student="retort:resnet8")
    job = retort.wait(job["id"])
    retort.download_student(job["id"], ".")
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from client import download as downloads
from client import folders, following, naming, uploads
from client.errors import NotThere, ProblemError, Refused
from client.handover import HandoverCalls
from client.naming import Given
from client.predictions import PredictionCalls
from client.registering import register
from client.studies import StudyCalls
from client.transport import Transport
from client.types import Artifact, Dataset, Event, Job, QCurve, Task, Teacher
from client.verifying import MANIFEST, SIGNATURE

Resource = TypeVar("Resource", Teacher, Dataset)
DEFAULT_URL = "http://127.0.0.1:8000"
#: What a job's student may be called: a file of weights, or a model folder.
STUDENTS = ("student.safetensors", "student.zip")
MEDIA = {"csv": "text/csv", "svg": "image/svg+xml", "png": "image/png", "json": "application/json"}


class Retort(StudyCalls, PredictionCalls, HandoverCalls):
    """One service, by URL and key. A context manager; safe to use from one thread at a time."""

    def __init__(
        self, url: str = DEFAULT_URL, api_key: str | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._transport = Transport(url, api_key, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    @property
    def url(self) -> str:
        return self._transport.url

    # Teachers

    def add_teacher(
        self,
        file: str | Path,
        architecture: str | None = None,
        options: Mapping[str, Any] | None = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        progress: uploads.Progress | None = None,
        *,
        preprocessing: Mapping[str, Any] | None = None,
    ) -> Teacher:
        """Upload a checkpoint of any format that is read, in parts if it is large; of a folder (a Hugging Face model,
        shards with their index) the files that are needed. A Hugging Face model needs no `architecture`, nor does a
        student of this service, which says it and its options itself. Comes back
        once it is inspected; raises `ProblemError` if it is refused, `NotThere` for a folder without weights and where
        nothing tells the architecture. `preprocessing`: how it sees pictures, where its file does not tell: mean, std,
        input_size, interpolation, crop_pct, channel_order."""
        path = Path(file)
        architecture = architecture or folders.suggested_architecture(path)
        if architecture is None:
            raise NotThere(f"Nothing in {path} tells its architecture.", "Name it, e.g. timm:resnet34.")
        fields = {"architecture": architecture, "options": dict(options or {}), "name": name or folders.called(path)}
        fields |= {"preprocessing": dict(preprocessing)} if preprocessing else {}
        files = [("file", each) for each in folders.teacher_files(path)]
        teacher: Teacher = register(self._transport, "/teachers", files, fields, labels, progress)
        return self._ready(f"/teachers/{teacher['id']}", teacher)

    def teacher_from_job(
        self,
        job_id: str,
        artifact: str | None = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Teacher:
        """Register what a finished job trained as a teacher: its student, or another `artifact`."""
        body = {
            "artifact": {"job_id": job_id, "name": artifact or STUDENTS[0]},
            "name": name,
            "labels": dict(labels or {}),
        }
        teacher: Teacher = self._post("/teachers", body, {"Idempotency-Key": uuid4().hex})
        return self._ready(f"/teachers/{teacher['id']}", teacher)

    def teachers(self) -> Iterator[Teacher]:
        return self._pages("/teachers")

    def teacher(self, teacher_id: str) -> Teacher:
        found: Teacher = self.get(f"/teachers/{quote(teacher_id, safe='')}")
        return found

    def delete_teacher(self, teacher_id: str) -> None:
        self._transport.request("DELETE", f"/teachers/{quote(teacher_id, safe='')}")

    # Datasets

    def add_dataset(  # noqa: PLR0913 - options by keyword
        self,
        file: Given | None = None,
        *,
        train: Given | None = None,
        test: Given | None = None,
        unlabelled: Given | None = None,
        name: str = "",
        task: str = "",
        labels: Mapping[str, str] | None = None,
        progress: uploads.Progress | None = None,
        pixel_range: tuple[int, int] | None = None,
        box_format: str = "",
        classes: Sequence[str] | None = None,
        classes_from: str = "",
    ) -> Dataset:
        """Upload files of one of the `tasks()`: `file`, or `train` with or without `test`; with these, or alone,
        `unlabelled` (images without labels). Each is a path, or the shards of one split: a list of tars or of parquet
        files, or `photos-{000..127}.tar` or `photos-*.tar`. Of a folder its tables `train.*` and `test.*`, or its
        images packed as a zip. `task`: its name; empty: the files tell. `pixel_range`: the values of 16-bit grey that
        are black and white, as (0, 4095) for 12 bits. `box_format`: what the four numbers of a box are in a table or
        parquet, as `cxcywh_relative`; empty: the files tell. `classes`, `classes_from`: of tars, as in
        `streamed_dataset`."""
        given = {"file": file, "train": train, "test": test, "unlabelled": unlabelled}
        found = {role: naming.files_of(paths) for role, paths in given.items() if paths is not None}
        lists = {role: paths for role, paths in found.items() if isinstance(paths, list)}
        alone = {role: path for role, path in found.items() if isinstance(path, Path)}
        whole = alone.pop("file", None)
        with folders.dataset_files(whole) if whole is not None else nullcontext(dict[str, Path]()) as files:
            called = name or (folders.called(whole) if whole is not None else "")
            pairs = [*files.items(), *alone.items(), *((role, path) for role in lists for path in lists[role])]
            fields = (
                {"name": called} | _task(task) | _reading(pixel_range, box_format) | _classes(classes, classes_from)
            )
            dataset: Dataset = register(self._transport, "/datasets", pairs, fields, labels, progress, lists)
        return self._ready(f"/datasets/{dataset['id']}", dataset)

    def named_dataset(self, named: str, labels: Mapping[str, str] | None = None, task: str = "") -> Dataset:
        """Register a data set that the service knows by name."""
        body = {"named": named, "labels": dict(labels or {})} | _task(task)
        dataset: Dataset = self._post("/datasets", body, {"Idempotency-Key": uuid4().hex})
        return self._ready(f"/datasets/{dataset['id']}", dataset)

    def fetched_dataset(
        self,
        url: str,
        sha256: str | None = None,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        task: str = "",
        pixel_range: tuple[int, int] | None = None,
        box_format: str = "",
    ) -> Dataset:
        """Register a file that the service fetches itself, from where its operator allows."""
        reference = {"url": url} | ({"sha256": sha256} if sha256 else {})
        body = (
            {"reference": reference, "name": name, "labels": dict(labels or {})}
            | _task(task)
            | _reading(pixel_range, box_format)
        )
        dataset: Dataset = self._post("/datasets", body, {"Idempotency-Key": uuid4().hex})
        return self._ready(f"/datasets/{dataset['id']}", dataset)

    def streamed_dataset(  # noqa: PLR0913 - each is a field of the request
        self,
        shards: str | Sequence[str] | None = None,
        *,
        train: str | Sequence[str] | None = None,
        test: str | Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        classes_from: str = "",
        decode: str = "",
        inspection: str = "",
        name: str = "",
        labels: Mapping[str, str] | None = None,
        task: str = "",
    ) -> Dataset:
        """Register shards that stay where they lie: `shards`, or `train` with or without `test`; each by braces, the
        folder of a bucket, a list, or their URLs. `classes`: what the numbers of labels mean; `classes_from`: `shards`
        where each shard is a class, `none` where folders are none; `decode`: `all` decodes every image.
        Comes back once workers have read all of them; or with `inspection="sample"` a sample, where they are many."""
        given = {"shards": shards, "train_shards": train, "test_shards": test}
        named = {key: value if isinstance(value, str) else list(value) for key, value in given.items() if value}
        told = _classes(classes, classes_from)
        told |= {"decode": decode} if decode else {}
        told |= {"inspection": inspection} if inspection else {}
        body = {"mode": "stream", "name": name, "labels": dict(labels or {})} | named | told | _task(task)
        dataset: Dataset = self._post("/datasets", body, {"Idempotency-Key": uuid4().hex})
        return self._ready(f"/datasets/{dataset['id']}", dataset)

    def inspect_dataset(self, dataset_id: str) -> Dataset:
        """Have the rest read of a dataset of which a sample was (`sampled`), and wait for that."""
        dataset: Dataset = self._post(f"/datasets/{quote(dataset_id, safe='')}/inspect")
        return self._ready(f"/datasets/{dataset['id']}", dataset)

    def datasets(self) -> Iterator[Dataset]:
        return self._pages("/datasets")

    def dataset(self, dataset_id: str) -> Dataset:
        found: Dataset = self.get(f"/datasets/{quote(dataset_id, safe='')}")
        return found

    def delete_dataset(self, dataset_id: str) -> None:
        self._transport.request("DELETE", f"/datasets/{quote(dataset_id, safe='')}")

    # Jobs

    def submit(self, *, idempotency_key: str | None = None, **body: Any) -> Job:
        """POST /jobs: `dataset`, `student` (a name, or `{"budget": {"bytes": 60000}}`), and where
        wanted `teacher` (an id, or a list of them), `config`, `name`,
        `labels`, `priority`, `resources`, `compare_with`, `probe`, `max_attempts`. Sent again after a broken connection
        it still makes one job."""
        job: Job = self._post("/jobs", body, {"Idempotency-Key": idempotency_key or uuid4().hex})
        return job

    def dry_run(self, **body: Any) -> dict[str, Any]:
        """Check a job without queueing it."""
        found: dict[str, Any] = self._post("/jobs?dry_run=true", body)
        return found

    def jobs(
        self, status: list[str] | None = None, recipe: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Iterator[Job]:
        """Jobs, newest first."""
        label = [f"{name}:{value}" for name, value in (labels or {}).items()]
        return self._pages("/jobs", status=status or None, recipe=recipe, label=label or None)

    def job(self, job_id: str) -> Job:
        found: Job = self.get(_job(job_id))
        return found

    def extend(self, job_id: str, epochs: int, **body: Any) -> Job:
        """A new job that goes on from a finished one; `body` as `POST /jobs/{id}/extend` has it."""
        job: Job = self._post(f"{_job(job_id)}/extend", {"epochs": epochs} | body, {"Idempotency-Key": uuid4().hex})
        return job

    def act(self, job_id: str, action: str) -> Job:
        """cancel, stop, pause, resume or retry."""
        job: Job = self._post(f"{_job(job_id)}/{action}")
        return job

    def delete_job(self, job_id: str, cancel: bool = False) -> None:
        """Remove a job with all it made; with `cancel` an active one is ended first, and waited for."""
        while True:
            answer = self._transport.request("DELETE", _job(job_id), params={"cancel": str(cancel).lower()})
            if answer.status_code != httpx.codes.ACCEPTED:
                return
            self.wait(job_id)

    def wait(self, job_id: str, on_change: Callable[[Job], None] | None = None, seconds: float | None = None) -> Job:
        """The job once it has ended; `on_change` sees every change. Raises `TimeoutError` after `seconds`."""
        job: Job = following.until_ended(self._transport, _job(job_id), on_change, seconds)
        return job

    def events(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """Everything that has happened and happens, until the job has ended. A broken connection is made again and
        goes on behind the last numbered event. Raises `Unreachable` when it cannot be made again."""
        return following.events(self._transport, _job(job_id), after)

    # Results

    def q_curve(self, job_id: str, teacher: int = 0) -> QCurve:
        """The curve of the job's teacher; `teacher`: which of several, counted from 0."""
        curve: QCurve = self.get(f"{_job(job_id)}/q-curve", teacher=teacher or None)
        return curve

    def q_curve_as(self, job_id: str, form: str, teacher: int = 0) -> bytes:
        """The curve as `csv`, `svg`, `png` or `json`."""
        headers, query = {"Accept": MEDIA[form]}, {"teacher": teacher} if teacher else {}
        return self._transport.request("GET", f"{_job(job_id)}/q-curve", headers=headers, params=query).content

    def report(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"{_job(job_id)}/report", format="json")
        return found

    def logs(self, job_id: str) -> Iterator[dict[str, Any]]:
        return self._pages(f"{_job(job_id)}/logs")

    def log_tail(self, job_id: str, lines: int = 100) -> tuple[list[dict[str, Any]], str]:
        """The last lines, and what `logs_after` needs for those that follow."""
        page = self.get(f"{_job(job_id)}/logs", tail=lines)
        return page["items"], page["follow"]

    def logs_after(self, job_id: str, follow: str) -> tuple[list[dict[str, Any]], str]:
        """What has been written since; and what the next call needs."""
        page = self.get(f"{_job(job_id)}/logs", after=follow)
        return page["items"], page["follow"]

    def metrics(self, job_id: str, split: str | None = None) -> Iterator[dict[str, Any]]:
        return self._pages(f"{_job(job_id)}/metrics", split=split)

    def artifacts(self, job_id: str) -> list[Artifact]:
        found: list[Artifact] = self.get(f"{_job(job_id)}/artifacts")["items"]
        return found

    def download(self, job_id: str, name: str, path: str | Path) -> Path:
        """Fetch one file of a job, verified by sha256."""
        artifacts = {artifact["name"]: artifact for artifact in self.artifacts(job_id)}
        if name not in artifacts:
            known = ", ".join(artifacts) or "none yet"
            raise NotThere(f"Job {job_id} has no file {name!r}.", f"It has: {known}.")
        return downloads.download(self._transport, artifacts[name], Path(path))

    def student_name(self, job_id: str) -> str:
        """What the job's student is called. Raises `NotThere` while there is none."""
        known = {artifact["name"] for artifact in self.artifacts(job_id)}
        found = next((name for name in STUDENTS if name in known), None)
        if found is None:
            raise NotThere(
                f"Job {job_id} has made no student yet.", f"It has: {', '.join(sorted(known)) or 'no files'}."
            )
        return found

    def download_student(self, job_id: str, path: str | Path) -> Path:
        """Fetch the student, verified by sha256: into a folder under its own name, else as the file `path`."""
        name, place = self.student_name(job_id), Path(path)
        return self.download(job_id, name, place / name if place.is_dir() else place)

    # Exports and manifests

    def download_manifest(self, job_id: str, folder: Path) -> list[Path]:
        """Write a finished job's `manifest.json` and its signature, for `client.verifying.verify`."""
        written = []
        for name, path in ((MANIFEST, "manifest"), (SIGNATURE, "manifest/signature")):
            place = folder / name
            place.write_bytes(self._transport.request("GET", f"{_job(job_id)}/{path}").content)
            written.append(place)
        return written

    def signing_key(self) -> str:
        """The service's public key, as minisign has it."""
        return self._transport.request("GET", "/signing-key").text

    # Webhooks

    def add_webhook(self, url: str, events: list[str] | None = None, **body: Any) -> dict[str, Any]:
        """Be told when jobs change; the answer is the only place where `secret` is shown."""
        given = {"url": url} | ({"events": events} if events else {})
        made: dict[str, Any] = self._post("/webhooks", given | body)
        return made

    def webhooks(self) -> Iterator[dict[str, Any]]:
        return self._pages("/webhooks")

    def delete_webhook(self, webhook_id: str) -> None:
        self._transport.request("DELETE", _webhook(webhook_id))

    def act_on_webhook(self, webhook_id: str, action: str) -> dict[str, Any]:
        """test or enable."""
        answer: dict[str, Any] = self._post(f"{_webhook(webhook_id)}/{action}")
        return answer

    def deliveries(self, webhook_id: str) -> Iterator[dict[str, Any]]:
        return self._pages(f"{_webhook(webhook_id)}/deliveries")

    def redeliver(self, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        path = f"{_webhook(webhook_id)}/deliveries/{quote(delivery_id, safe='')}/redeliver"
        answer: dict[str, Any] = self._post(path)
        return answer

    # The service

    def catalogue(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/catalogue")
        return found

    def tasks(self) -> list[Task]:
        """What students can be trained to answer, with the metrics of its reports; none of an older service."""
        try:
            found: list[Task] = self.get("/catalogue/tasks")["items"]
        except ProblemError as error:
            if error.status == 404:
                return []
            raise
        return found

    def architectures(self, search: str | None = None) -> Iterator[dict[str, Any]]:
        return self._pages("/catalogue/architectures", search=search)

    def system(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/system")
        return found

    def _ready(self, path: str, row: Resource) -> Resource:
        """Wait on while a worker inspects the row."""
        while row["status"] == "inspecting":
            time.sleep(1)
            row = self.get(path)
        if row["status"] == "invalid":
            error = row["error"] or {}
            raise Refused(error.get("message", "The input was refused."), error.get("remedy", ""))
        return row


def _reading(pixel_range: tuple[int, int] | None, box_format: str) -> dict[str, Any]:
    """Only what is given: older services know none."""
    found = {} if pixel_range is None else {"pixel_range": list(pixel_range)}
    return found | ({"box_format": box_format} if box_format else {})


def _classes(classes: Sequence[str] | None, classes_from: str) -> dict[str, Any]:
    told: dict[str, Any] = {"classes": list(classes)} if classes else {}
    return told | ({"classes_from": classes_from} if classes_from else {})


def _task(name: str) -> dict[str, str]:
    """Only where it is named: older services know no tasks."""
    return {"task": name} if name else {}


def _job(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _webhook(webhook_id: str) -> str:
    return f"/webhooks/{quote(webhook_id, safe='')}"
