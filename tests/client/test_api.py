"""The Python client."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from client import ProblemError, Retort, RetortClientError, Unreachable
from client.download import download
from client.errors import Corrupt
from client.sse import messages
from client.transport import Transport
from client.types import Artifact
from tests.api.driver import Driver, Inspector
from tests.api.test_registration import safetensors, zipped
from tests.client.conftest import serving


def body(driver: Driver) -> dict[str, object]:
    return {"teacher": driver.teacher(), "dataset": driver.dataset(), "student": "retort:resnet8"}


@pytest.mark.usefixtures("inspector")
def test_teachers_and_datasets_come_and_go(retort: Retort, driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(safetensors())
    (tmp_path / "d.zip").write_bytes(zipped())
    teacher = retort.add_teacher(tmp_path / "m.safetensors", "resnet34", {"width": 8}, "t", {"a": "b"})
    assert (teacher["status"], teacher["architecture"]["options"]) == ("ready", {"width": 8})
    whole, named = retort.add_dataset(tmp_path / "d.zip", name="d"), retort.named_dataset("digits")
    split = retort.add_dataset(train=tmp_path / "d.zip", test=tmp_path / "d.zip")
    assert sorted(split["files"]) == ["test", "train"]
    assert [row["id"] for row in retort.datasets()] == [split["id"], named["id"], whole["id"]]
    assert retort.teacher(teacher["id"]) == teacher == next(retort.teachers())
    assert retort.dataset(named["id"]) == named
    retort.delete_teacher(teacher["id"])
    retort.delete_dataset(whole["id"])
    assert list(retort.teachers()) == []


def test_a_refusal_is_an_error_with_its_remedy(retort: Retort, driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(ProblemError) as caught:
        retort.add_teacher(tmp_path / "m.safetensors", "timm:resnet34")
    assert (caught.value.status, caught.value.code, caught.value.fault) == (422, "invalid_teacher", "user")
    assert "save_file" in caught.value.remedy


def test_a_client_waits_on_when_the_inspection_outlasts_the_request(
    retort: Retort, driver: Driver, inspector: Inspector, app: FastAPI
) -> None:
    app.state.context.settings.inspect_wait_seconds = 0
    assert retort.named_dataset("digits")["status"] == "ready"


def test_many_pages_are_one_list(retort: Retort, driver: Driver) -> None:
    dataset = driver.dataset()
    made = [driver.job(dataset_id=dataset) for _ in range(60)]
    assert [job["id"] for job in retort.jobs()] == made[::-1]
    assert list(retort.jobs(status=["succeeded", "failed"])) == []
    assert list(retort.jobs(labels={"a": "b"})) == []


def test_wait_sees_every_change_and_the_end(retort: Retort, driver: Driver) -> None:
    job = retort.submit(**body(driver))
    thread = threading.Thread(target=lambda: (time.sleep(0.3), driver.succeed(job["id"])))
    thread.start()
    seen: list[str] = []
    ended = retort.wait(job["id"], on_change=lambda each: seen.append(each["status"]))
    thread.join()
    assert ended["status"] == "succeeded"
    assert (seen[0], seen[-1]) == ("queued", "succeeded")


def test_wait_gives_up_in_time(retort: Retort, driver: Driver) -> None:
    with pytest.raises(TimeoutError):
        retort.wait(retort.submit(**body(driver))["id"], seconds=0.2)


def test_events_are_all_events_in_order(retort: Retort, driver: Driver) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    numbers = [event["seq"] for event in retort.events(job_id)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [event["seq"] for event in retort.events(job_id, after=5)] == numbers[5:]


def test_events_go_on_when_the_server_comes_back(app: FastAPI, driver: Driver) -> None:
    job_id = driver.job()
    seen: list[int] = []
    with serving(app) as url:
        port = int(url.rpartition(":")[2])
        retort = Retort(url)
        stream = retort.events(job_id)
        seen.append(next(stream)["seq"] or 0)
    lease = driver.claim(job_id)
    with serving(app, port):
        thread = threading.Thread(target=lambda: (time.sleep(0.5), driver.finish(lease, "cancelled")))
        thread.start()
        seen += [event["seq"] or 0 for event in stream]
        thread.join()
    retort.close()
    assert seen == [1, 2, 3]


def test_results_come_in_every_form(retort: Retort, driver: Driver, tmp_path: Path) -> None:
    job_id = driver.job()
    driver.succeed(job_id, b"w" * 3_000_000)
    assert [artifact["name"] for artifact in retort.artifacts(job_id)][-1] == "student.safetensors"
    path = retort.download(job_id, "student.safetensors", tmp_path / "new" / "student")
    assert path.read_bytes() == b"w" * 3_000_000
    assert [file.name for file in path.parent.iterdir()] == ["student"]
    assert retort.report(job_id) == {}
    assert retort.q_curve(job_id)["complete"]
    assert retort.q_curve_as(job_id, "svg").lstrip().startswith(b"<")
    assert [line["message"] for line in retort.logs(job_id)] == ["step 1"]
    assert [row["step"] for row in retort.metrics(job_id, "train")] == [1, 2]
    with pytest.raises(RetortClientError, match="no file"):
        retort.download(job_id, "none", tmp_path / "x")


def artifact_of(retort: Retort, job_id: str) -> Artifact:
    return next(artifact for artifact in retort.artifacts(job_id) if artifact["name"] == "student.safetensors")


def test_a_broken_download_goes_on_where_it_stopped(retort: Retort, driver: Driver, url: str, tmp_path: Path) -> None:
    job_id, content = driver.job(), bytes(range(256)) * 100
    driver.succeed(job_id, content)
    artifact = artifact_of(retort, job_id)
    partial = tmp_path / f"s.{artifact['sha256'][:8]}.part"
    partial.write_bytes(content[:1000])
    asked: list[str | None] = []

    class Recorded(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.headers.get("Range"))
            return super().handle_request(request)

    assert download(Transport(url, None, Recorded()), artifact, tmp_path / "s").read_bytes() == content
    assert asked == ["bytes=1000-"]


def test_a_corrupt_download_gets_no_name(retort: Retort, driver: Driver, url: str, tmp_path: Path) -> None:
    job_id = driver.job()
    driver.succeed(job_id, b"good")
    artifact = artifact_of(retort, job_id)
    partial = tmp_path / f"s.{artifact['sha256'][:8]}.part"
    partial.write_bytes(b"evil")
    with pytest.raises(Corrupt):
        download(Transport(url, None), artifact, tmp_path / "s")
    assert list(tmp_path.glob("s*")) == []


def test_actions_and_deletion(retort: Retort, driver: Driver) -> None:
    job = retort.submit(**body(driver))
    assert retort.act(job["id"], "pause")["status"] == "paused"
    assert retort.act(job["id"], "resume")["status"] == "queued"
    lease = driver.claim(job["id"])
    thread = threading.Thread(target=lambda: (time.sleep(0.3), driver.finish(lease, "cancelled")))
    thread.start()
    retort.delete_job(job["id"], cancel=True)
    thread.join()
    assert list(retort.jobs()) == []


def test_nothing_at_the_url_is_said_so() -> None:
    with Retort("http://127.0.0.1:9") as retort, pytest.raises(Unreachable, match="No service answers"):
        retort.dry_run()


def test_what_is_no_problem_document_is_an_error_too() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>bad gateway</html>")

    with Retort("http://x", transport=httpx.MockTransport(answer)) as retort, pytest.raises(ProblemError) as caught:
        retort.dry_run()
    assert (caught.value.status, caught.value.fault) == (502, "system")


def test_requests_that_may_be_repeated_are() -> None:
    tries: list[str] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        tries.append(request.method)
        if len(tries) % 3:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"id": "job_1"})

    with Retort("http://x", transport=httpx.MockTransport(flaky)) as retort:
        assert retort.job("job_1")["id"] == "job_1"
        assert retort.submit(dataset="d")["id"] == "job_1"  # its Idempotency-Key makes that safe
        assert len(tries) == 6
        with pytest.raises(Unreachable):
            retort.act("job_1", "cancel")
    assert len(tries) == 7


def test_the_key_goes_to_the_service_and_not_to_the_store() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, request.headers.get("Authorization")))
        if request.url.host == "retort.example":
            return httpx.Response(307, headers={"Location": "http://store.example/x?signature=1"})
        return httpx.Response(200, content=b"abc")

    transport = Transport("http://retort.example", "secret", httpx.MockTransport(answer))
    assert transport.request("GET", "/jobs/1/student").content == b"abc"
    assert seen == [("retort.example", "Bearer secret"), ("store.example", None)]


FIELDS = st.text(st.characters(exclude_characters="\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(st.integers(0, 99), FIELDS)))
def test_any_stream_is_read_back(sent: list[tuple[int, str]]) -> None:
    import json

    def lines() -> Iterator[str]:
        for number, text in sent:
            yield ": heartbeat"
            yield from (f"id: {number}", "event: log", f"data: {json.dumps({'data': {'text': text}})}", "")
        yield "data: cut off"

    read = [(event["seq"], event["data"]["text"]) for event in messages(lines())]
    assert read == sent


def test_the_client_imports_nothing_of_ours() -> None:
    code = "import sys, client.cli; print([m for m in sys.modules if m.split('.')[0] in sys.argv[1:]])"
    names = ["distill", "store", "api", "worker", "embedded", "torch", "sqlalchemy", "fastapi"]
    found = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
