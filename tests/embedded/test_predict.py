"""A student that writes, asked over HTTP in a service with a real worker: streams, what it does not take, a predictor
that dies. Pictures and teachers of them are asked in `tests.integration.main_job`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from client.api import Retort
from store.database import Database
from store.tables import Prediction
from tests.embedded.service import Service, wait_for
from tests.tasks.tiny import generate_text

pytestmark = pytest.mark.long

ASKED = "what does the cat do ?"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(
        tmp_path_factory.mktemp("service") / "data", OMP_NUM_THREADS="1", RETORT_PREDICTORS="1",
        RETORT_PREDICT_WARM_SECONDS="600", RETORT_PREDICT_WAIT_SECONDS="240",
    )  # fmt: skip
    yield service
    service.kill()


@pytest.fixture(scope="module")
def client(service: Service) -> httpx.Client:
    return service.client()


@pytest.fixture(scope="module")
def decoder(service: Service, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    house = generate_text.make(tmp_path_factory.mktemp("house"))
    with Retort(service.url) as retort:
        teacher = retort.add_teacher(house.teacher.weights)
        (file,) = house.dataset.files.values()
        dataset = retort.add_dataset(file)
        config = {"recipe": "logit", "max_steps": 2, "batch_size": 16, "device": "cpu", "precision": "fp32"}
        job = retort.submit(
            dataset=dataset["id"], teacher=teacher["id"], student=house.student.model_dump(), config=config
        )
    wait_for(client, job["id"], 240, status="succeeded")
    return job["id"]


def asked(client: httpx.Client, job: str, **body: Any) -> httpx.Response:
    return client.post(f"/jobs/{job}/predict", json={"inputs": [ASKED], "max_tokens": 3} | body)


def test_texts_are_streamed_as_they_are_written(service: Service, decoder: str) -> None:
    with Retort(service.url) as retort:
        given: dict[str, Any] = {"teacher": True, "max_tokens": 5, "temperature": 1.0, "seed": 3}
        whole = retort.predict(decoder, [ASKED], **given)
        events = list(retort.predict_stream(decoder, [ASKED], **given))
    assert events[-1]["kind"] == "answer"
    said = {"student": "", "teacher": ""}
    for event in events[:-1]:
        said[event["data"]["network"]] += event["data"]["text"]
    (item,) = events[-1]["data"]["items"]
    assert item == whole["items"][0]
    assert said["student"].strip() == item["student"]["text"]
    assert said["teacher"].strip() == item["teachers"][0]["answer"]["text"]
    assert item["student"]["tokens"] <= 5


def test_what_a_student_does_not_take_is_named(client: httpx.Client, decoder: str) -> None:
    picture = BytesIO()
    Image.new("L", (8, 8)).save(picture, "PNG")
    answer = client.post(f"/jobs/{decoder}/predict", files={"file": ("a.png", picture.getvalue())})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_sample")
    wrong = asked(client, decoder, inputs=[ASKED, [{"role": "user", "content": ASKED}]])
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/inputs/1")
    stream = asked_as_stream(client, decoder, inputs=[[{"role": "user", "content": ASKED}]])
    assert stream.startswith("event: failed")


def asked_as_stream(client: httpx.Client, job: str, **body: Any) -> str:
    headers = {"Accept": "text/event-stream"}
    return client.post(f"/jobs/{job}/predict", json=body, headers=headers).raise_for_status().text


def test_a_predictor_that_dies_is_named_and_the_next_request_has_a_new_one(client: httpx.Client, decoder: str) -> None:
    asked(client, decoder).raise_for_status()
    own = psutil.Process().children(recursive=True)
    (process,) = (each for each in own if "worker.predicting.predictor" in " ".join(each.cmdline()))
    process.suspend()  # it is asked and does not answer
    threading.Timer(0.5, lambda: os.kill(process.pid, signal.SIGKILL)).start()
    answer = asked(client, decoder)
    assert (answer.status_code, answer.json()["code"]) == (503, "predictor_died")
    assert answer.headers["Retry-After"]
    assert not asked(client, decoder).raise_for_status().json()["warm"]


def test_nothing_of_a_request_is_kept(service: Service, client: httpx.Client, decoder: str) -> None:
    asked(client, decoder).raise_for_status()
    folder = service.log.with_suffix("")
    database = Database(f"sqlite:///{folder / 'retort.db'}")
    with database.read() as session:
        assert session.query(Prediction).count() == 0
    database.close()
    assert not list((folder / "scratch").rglob("asked/*"))
    assert not list((folder / "incoming").glob("*"))


def test_texts_are_ranked_by_what_both_expect(client: httpx.Client, decoder: str) -> None:
    ranked = client.get(f"/jobs/{decoder}/disagreements").raise_for_status().json()
    assert (ranked["measure"], ranked["sheet"]) == ("divergence", None)
    assert ranked["items"]
    assert all(each["text"] and each["second"] for each in ranked["items"])
