"""`retort demo`: teacher, comparison and distilled student on Fashion-MNIST, all through the HTTP API."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from client import local_service
from client.api import Retort
from client.errors import JobFailed, ProblemError, RetortClientError
from client.figures import columns_of
from client.session import Session
from client.types import TERMINAL, Job
from client.watch import watch

# What is trained, and for how long: chosen so that the whole takes at most 6 minutes on 2 cores.
DATASETS = ("fashion-mnist", "digits")
TEACHER: dict[str, Any] = {"name": "retort:resnet14", "options": {}}
STUDENT: dict[str, Any] = {"name": "retort:resnet8", "options": {"width": 8}}
TEACHER_CONFIG: dict[str, Any] = {"recipe": "cross_entropy", "max_steps": 900, "batch_size": 128}
STUDENT_STEPS: dict[str, Any] = {"max_steps": 600, "batch_size": 128}
COMPARISON_CONFIG: dict[str, Any] = STUDENT_STEPS | {"recipe": "cross_entropy"}
SELECTION: dict[str, Any] = {"selection": "auto", "layers": 3, "quality_samples": 1000}
#: Procrustes led the feature losses in the study of all recipes (docs/evidence/images.md).
FEATURES: dict[str, Any] = {"recipe": "feature_only", "recipe_parameters": {"feature_loss": "procrustes"}}
DISTILL_CONFIG: dict[str, Any] = STUDENT_STEPS | SELECTION | FEATURES

LABELS = {"made-by": "demo"}
CURVES = ("json", "csv", "svg", "png")
FILES = ("student.safetensors", "report.md", "report.json")
PREDICT = '''"""Load the student in a process of its own and predict: python predict.py [IMAGE ...]"""

import sys
from pathlib import Path

from distill.modalities.images import open_dataset
from distill.student import load_student
from distill.types import DatasetInput

student = load_student(Path(__file__).with_name("student.safetensors"))
if sys.argv[1:]:
    for path, found in zip(sys.argv[1:], student.predict(sys.argv[1:])):
        print(f"{path}: {found.label} ({found.probability:.2f})")
else:
    test = open_dataset(DatasetInput(kind="named", name="@DATASET@")).test
    images = [test.image(i) for i in range(10)]
    for i, found in enumerate(student.predict(images)):
        truth = student.classes[int(test.labels[i])]
        print(f"test image {i}: {found.label} ({found.probability:.2f}), truly {truth}")
'''


@click.command("demo")
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-output"))
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path("retort-data"))
@click.pass_context
def command(context: click.Context, output: Path, data: Path) -> None:
    """Train a teacher, distil it, compare: a few minutes, everything in ./demo-output.

    Uses the service at --url or RETORT_URL where one is given; else runs one of its own, and ends it.
    """
    session = context.find_object(Session)
    assert session is not None
    parent = context.parent
    given = parent is not None and parent.get_parameter_source("url") is not click.core.ParameterSource.DEFAULT
    with _interruptible(), ExitStack() as stack:
        url = session.url
        if not given:
            session.console.print("Starting the service ...")
            url = stack.enter_context(local_service.running(data, output / "service.log", session.say))
        retort = stack.enter_context(Retort(url, session.api_key))
        Demo(retort, session.console, output).run()
        _say_where(session.console, output, None if given else data)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM as Ctrl-C, so that both clean up."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Demo:
    """The five steps, in order."""

    def __init__(self, retort: Retort, console: Console, output: Path) -> None:
        self.retort, self.console, self.output = retort, console, output
        self.started = time.monotonic()

    def run(self) -> None:
        """Everything; a job that is interrupted is cancelled, and waited for."""
        dataset = self.dataset()
        teacher_job = self.job("Teacher", "teacher", dataset, TEACHER, TEACHER_CONFIG)
        teacher = self.retort.teacher_from_job(teacher_job["id"], name="demo teacher", labels=LABELS)
        self.console.print(f"Registered as {teacher['id']}.")
        alone = self.job("Student alone", "the same student trained alone", dataset, STUDENT, COMPARISON_CONFIG)
        rest = {"teacher": teacher["id"], "compare_with": alone["id"]}
        student = self.job("Distilled student", "distilled student", dataset, STUDENT, DISTILL_CONFIG, **rest)
        self.fetch(student["id"])
        self.predict(dataset["name"])
        self.judge(student["id"])

    def dataset(self) -> Any:
        """The first data set of `DATASETS` that this service can read; says so when it is not the first."""
        for name in DATASETS:
            try:
                found = self.retort.named_dataset(name, LABELS)
            except RetortClientError as error:
                if name == DATASETS[-1] or (error.fault != "user" and isinstance(error, ProblemError)):
                    raise
                self.console.print(f"{name} cannot be had here: {error.message} {error.remedy}", highlight=False)
                self.console.print(f"The demo takes {DATASETS[-1]} instead, which is much smaller and easier.")
            else:
                self.console.print(f"Data: {name} ({found['id']}).")
                return found
        raise AssertionError

    def job(
        self, title: str, name: str, dataset: Any, student: dict[str, Any], config: dict[str, Any], **rest: Any
    ) -> Job:
        """Submit, watch until the end. Raises `JobFailed`; whatever interrupts cancels the job first."""
        body = {"dataset": dataset["id"], "student": student, "config": config, "labels": LABELS}
        job = self.retort.submit(name=name, **body, **rest)
        self.console.print(f"\n[bold]{title}[/]: {config['recipe']}, {student['name']}, {job['id']}", highlight=False)
        try:
            ended = watch(self.retort, self.console, job["id"], title)
        except BaseException:
            self.cancel(job["id"])
            raise
        if ended["status"] != "succeeded":
            raise JobFailed(dict(ended))
        accuracy = self.retort.report(job["id"])["student"]["accuracy"]["value"]
        self.console.print(f"Accuracy on the untouched test set: {100 * accuracy:.2f} %", highlight=False)
        return ended

    def cancel(self, job_id: str) -> None:
        """Leave no job running behind us. It may take the service's grace; one more Ctrl-C does not wait for it."""
        self.console.print(f"Cancelling {job_id} and waiting for its end ...")
        try:
            if self.retort.job(job_id)["status"] not in TERMINAL:
                self.retort.act(job_id, "cancel")
                self.retort.wait(job_id)
        except RetortClientError as error:
            self.console.print(f"It could not be cancelled: {error}")

    def fetch(self, job_id: str) -> None:
        """Student, reports and the curve in every form."""
        self.output.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            self.retort.download(job_id, name, self.output / name)
        for form in CURVES:
            (self.output / f"q-curve.{form}").write_bytes(self.retort.q_curve_as(job_id, form))

    def predict(self, dataset: str) -> None:
        """Load the downloaded student in a fresh Python process."""
        script = self.output / "predict.py"
        script.write_text(PREDICT.replace("@DATASET@", dataset), encoding="utf-8")
        self.console.print("\n[bold]The downloaded student in a fresh Python process[/]:")
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RetortClientError(f"{script} failed:\n{done.stderr}", "Is `distill` installed in this Python?")
        self.console.print(done.stdout.rstrip(), highlight=False, markup=False)

    def judge(self, job_id: str) -> None:
        """Whether the student beat the same student trained alone, in the report's own words."""
        report = self.retort.report(job_id)
        columns = columns_of(report).items()
        self.console.print("\n[bold]On the untouched test set[/]:")
        for name, column in columns:
            share, parameters = 100 * column["accuracy"]["value"], column["parameters"]
            self.console.print(f"  {name:11} {share:6.2f} %   {parameters:>10,} parameters", highlight=False)
        self.console.print(f"[bold]{report['verdict']['text']}[/]", highlight=False)
        self.console.print(f"It took {time.monotonic() - self.started:.0f} s.", highlight=False)


def _say_where(console: Console, output: Path, data: Path | None) -> None:
    """The last lines: what lies where, and how to go on."""
    lines = [
        "",
        f"{output}/student.safetensors   the student; {output}/predict.py loads it",
        f"{output}/report.md             the comparison in words; report.json in numbers",
        f"{output}/q-curve.svg           the Q curve; also as .png, .csv and .json",
        "Go on:",
    ]
    retort = _program()
    if data is not None:
        environment = "" if data == Path("retort-data") else f"RETORT_DATA_DIR={data} "
        lines += [
            f"  {environment}{retort} serve",
            "      the same service with these jobs; its dashboard is http://127.0.0.1:8000/ui/ (built by `make web`)",
        ]
    lines += [f"  {retort} jobs list      what has run, while the service runs", f"  {retort} jobs submit --help"]
    console.print("\n".join(lines), highlight=False, markup=False)


def _program() -> str:
    """How to call this program from here: its name where the shell finds it, else its path."""
    if shutil.which("retort"):
        return "retort"
    called = Path(sys.argv[0]).absolute()
    if called.name != "retort":  # started as `python -m client`
        return "retort"
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)
