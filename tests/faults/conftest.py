"""What every scenario begins with, made once: three servers, a database with a teacher in it, an undisturbed run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits

from distill.models import build, save
from distill.types import Architecture
from tests.faults import evidence
from tests.faults.evidence import Reference
from tests.faults.site import Services, Site, until
from tests.integration.main_job import architectures_known
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.s3 import S3

TEACHER = Architecture(name="retort:resnet8", options={"width": 8})
#: 180 steps with an end of epoch every sixth: a second or two of training, time enough to kill a trainer in. Below 400
#: steps each has its metrics, so which there are depends neither on time nor on where a run was cut.
CONFIG = {
    "recipe": "feature_only", "layers": 2, "epochs": 30, "batch_size": 16, "train_limit": 110, "test_limit": 50,
    "quality_samples": 40, "checkpoint_seconds": 1, "precision": "fp32", "channels_last": False, "compile": False,
    "seed": 7,
}  # fmt: skip
#: On a fast machine too, still training when a lease of 4 s has ended and another worker has begun: 390 steps, each of
#: them large.
LONG_CONFIG = CONFIG | {"epochs": 130, "batch_size": 448, "train_limit": 1300}
MakeSite = Callable[..., Site]
Figure = Callable[[str, float, str], None]
_measured = list[str]()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what the tests have measured, also those in pytest-xdist's processes."""
    if report.when == "call":
        _measured.extend(str(value) for name, value in report.user_properties if name == "figure")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _measured:
        terminalreporter.section("measured")
        for line in sorted(_measured):
            terminalreporter.write_line(line)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Report a number at the end of the run."""

    def note(what: str, value: float, unit: str) -> None:
        request.node.user_properties.append(("figure", f"| {what} | {value:.3g} {unit} |"))

    return note


@pytest.fixture(scope="session")
def services(postgres: Postgres, redis: Redis, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The servers and the template: a catalogue by a real worker, the dataset and the teacher inspected."""
    bare = Services(postgres, redis, s3)
    folder = tmp_path_factory.mktemp("template")
    with closing(Site(folder, bare)) as site:
        site.start()
        site.worker("first")
        until(lambda: architectures_known(site.http), 180)
        weights = taught(folder / "teacher.safetensors")
        with weights.open("rb") as file:
            sent = site.http.post("/teachers", files={"file": file}, data=_form(TEACHER))
        assert sent.status_code == 201, sent.text
        dataset = site.http.post("/datasets", json={"named": "digits"}).raise_for_status().json()
        body = {"teacher": sent.json()["id"], "dataset": dataset["id"], "student": TEACHER.model_dump(mode="json")}
        bucket = site.environment["RETORT_S3_BUCKET"]
        for worker in site.workers:
            worker.stop(seconds=30)
        site.api.stop()
        template = postgres.new_database(site.database_url)
    yield replace(bare, template=template, bucket=bucket, body=body | {"config": CONFIG})
    postgres.drop_database(template)


def taught(path: Path) -> Path:
    """A teacher that has learnt something: 60 steps on the digits."""
    torch.manual_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    teacher, wanted = build(TEACHER, 10, in_channels=1).train(), torch.tensor(labels)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=5e-3)
    for _ in range(60):
        chosen = torch.randint(len(images), (64,))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(teacher(images[chosen]), wanted[chosen]).backward()
        optimizer.step()
    save(teacher.eval(), path)
    return path


def _form(architecture: Architecture) -> dict[str, str]:
    return {"architecture": architecture.name, "options": json.dumps(architecture.options), "name": "tiny"}


@pytest.fixture
def make_site(services: Services, tmp_path: Path) -> Iterator[MakeSite]:
    """`make_site(RETORT_...=...)`: a site whose API answers. It is stopped afterwards, and must leave no process."""
    with ExitStack() as stack:

        def make(**settings: str | None) -> Site:
            folder = tmp_path / f"site{len(list(tmp_path.glob('site*')))}"
            folder.mkdir()
            site = Site(folder, services, **settings)
            stack.callback(site.close)
            site.start_api()
            return site

        yield make


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture(scope="session")
def undisturbed(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The job as it is when nothing happens to it."""
    return _run_undisturbed(services, tmp_path_factory.mktemp("undisturbed"), CONFIG)


@pytest.fixture(scope="session")
def undisturbed_long(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The job with LONG_CONFIG as it is when nothing happens to it."""
    return _run_undisturbed(services, tmp_path_factory.mktemp("undisturbed_long"), LONG_CONFIG)


def _run_undisturbed(services: Services, folder: Path, config: dict[str, Any]) -> Reference:
    with closing(Site(folder, services)) as site:
        site.start_api()
        site.worker("w")
        started = time.monotonic()
        job_id = site.submit(config=config)
        site.wait(job_id, status="succeeded")
        seconds = time.monotonic() - started
        return evidence.reference(site, evidence.told(site, job_id), seconds)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums depend on how many threads share them."""
    os.environ["OMP_NUM_THREADS"] = "1"
