"""What a job has found and made: curve, events, metrics, logs, attempts, checkpoints, files."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.errors.problems import RangeNotSatisfiable
from api.http.files import StoredFile, respond
from api.state.lanes import Lanes
from distill.types import Event
from store.objects import ObjectMissing, ObjectStore
from tests.api.checks import pointers, problem
from tests.api.driver import Driver

WEIGHTS = bytes(range(256)) * 8


@pytest.fixture
def done(driver: Driver) -> str:
    job_id = driver.job()
    driver.succeed(job_id, WEIGHTS)
    return job_id


def test_the_curve_fills_layer_by_layer(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    path = f"/jobs/{job_id}/q-curve"
    empty = client.get(path).json()
    assert (empty["complete"], empty["total_layers"], empty["layers"], empty["reading"]) == (False, None, [], None)
    lease = driver.claim(job_id)
    driver.score(lease, layers=2)
    part = client.get(path).json()
    assert (part["complete"], part["total_layers"], len(part["layers"])) == (False, 4, 2)
    assert "partial" in part["reading"]
    assert part["layers"][1]["name"] == "layer1"
    driver.score(lease)
    assert client.get(path).json()["complete"]


def test_the_finished_curve_names_its_chosen_layers(client: TestClient, done: str) -> None:
    curve = client.get(f"/jobs/{done}/q-curve").json()
    assert (curve["complete"], curve["chosen"], curve["rule"], curve["samples"]) == (True, [2, 3], "quality", 100)
    assert curve["reading"]


@pytest.mark.parametrize(
    ("accept", "form", "media", "start"),
    [
        ("text/csv", None, "text/csv; charset=utf-8", b"index,name,"),
        ("image/svg+xml", None, "image/svg+xml", b"<?xml"),
        ("image/png", None, "image/png", b"\x89PNG"),
        ("image/*;q=0.5, text/csv;q=0.4", None, "image/svg+xml", b"<?xml"),
        ("application/json", "csv", "text/csv; charset=utf-8", b"index,name,"),
        ("*/*", None, "application/json", b"{"),
    ],
)
def test_the_curve_has_four_forms(
    client: TestClient, done: str, accept: str, form: str | None, media: str, start: bytes
) -> None:
    query = f"?format={form}" if form else ""
    answer = client.get(f"/jobs/{done}/q-curve{query}", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media)
    assert answer.content.startswith(start)


def test_a_curve_that_cannot_be_given_says_why(client: TestClient, driver: Driver) -> None:
    waiting, without = driver.job(), driver.job(recipe="cross_entropy")
    problem(client.get(f"/jobs/{waiting}/q-curve?format=svg"), 409, "q_curve_empty")
    problem(client.get(f"/jobs/{without}/q-curve"), 404, "no_q_curve")
    document = problem(client.get(f"/jobs/{waiting}/q-curve", headers={"Accept": "text/html"}), 406, "not_acceptable")
    assert "image/svg+xml" in document["remedy"]
    assert pointers(problem(client.get(f"/jobs/{waiting}/q-curve?format=gif"), 422)) == {"/format"}


def test_events_page_and_go_on(client: TestClient, done: str) -> None:
    whole = client.get(f"/jobs/{done}/events?limit=200").json()["items"]
    assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
    assert (whole[0]["kind"], whole[-1]["data"]) == ("status", {"status": "succeeded"})
    paged, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/jobs/{done}/events?limit=5" + (f"&cursor={cursor}" if cursor else "")).json()
        paged += page["items"]
        cursor = page["next_cursor"]
    assert paged == whole


def streamed(text: str) -> list[dict[str, str]]:
    """The messages of an event stream."""
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def stream(client: TestClient, job_id: str, last: int | None = None) -> Any:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(last)} if last is not None else {})
    return client.get(f"/jobs/{job_id}/events", headers=headers)


def test_a_stream_of_an_ended_job_is_its_whole_history_and_ends(client: TestClient, done: str) -> None:
    answer = stream(client, done)
    assert answer.headers["content-type"].startswith("text/event-stream")
    messages = streamed(answer.text)
    whole = client.get(f"/jobs/{done}/events?limit=200").json()["items"]
    assert [json.loads(message["data"]) for message in messages] == whole
    assert [int(message["id"]) for message in messages] == [event["seq"] for event in whole]
    resumed = streamed(stream(client, done, last=3).text)
    assert [message["id"] for message in resumed] == [message["id"] for message in messages[3:]]
    assert stream(client, done, last=len(whole)).status_code == 204


def test_a_stream_goes_on_as_the_job_does_and_ends_with_it(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()

    def work() -> None:
        time.sleep(0.2)
        lease = driver.claim(job_id)
        progress = {"fraction": 0.5, "step": 1, "total_steps": 2, "images_per_second": 1.0, "eta_seconds": 1.0}
        driver.record(lease, Event("progress", progress))
        time.sleep(0.8)
        driver.finish(lease, "succeeded")

    thread = threading.Thread(target=work)
    thread.start()
    messages = streamed(stream(client, job_id).text)
    thread.join()
    kinds = [message["event"] for message in messages]
    assert kinds == ["status", "status", "progress", "status"]
    assert "id" not in messages[2]  # progress is no numbered event: a client resumes behind the last that is
    assert json.loads(messages[2]["data"])["fraction"] == 0.5


def test_streams_refuse_before_they_begin(client: TestClient) -> None:
    problem(stream(client, "job_none"), 404)
    bad = client.get("/jobs/job_none/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "x"})
    assert pointers(problem(bad, 422)) == {"/Last-Event-ID"}


def test_metrics_logs_attempts_and_checkpoints(client: TestClient, done: str) -> None:
    metrics = client.get(f"/jobs/{done}/metrics").json()
    assert [(row["step"], row["split"], row["values"]["loss"]) for row in metrics["items"]] == [
        (1, "train", 1.0),
        (2, "train", 0.5),
    ]
    assert client.get(f"/jobs/{done}/metrics?split=test").json()["items"] == []
    assert [line["message"] for line in client.get(f"/jobs/{done}/logs").json()["items"]] == ["step 1"]
    (attempt,) = client.get(f"/jobs/{done}/attempts").json()["items"]
    assert (attempt["number"], attempt["outcome"]) == (1, "succeeded")
    (checkpoint,) = client.get(f"/jobs/{done}/checkpoints").json()["items"]
    assert (checkpoint["step"], checkpoint["size_bytes"]) == (2, 5)


def test_pages_of_metrics_cut_no_step_in_two(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    lease = driver.claim(job_id)
    for step in range(5):
        for split in ("train", "validation", "test"):
            values = {"step": step + 1, "epoch": 1.0, "split": split, "values": {"loss": 0.0}}
            driver.record(lease, Event("metrics", values))
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/jobs/{job_id}/metrics?limit=4" + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [(row["step"], row["split"]) for row in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [(step + 1, split) for step in range(5) for split in ("test", "train", "validation")]


def test_files_are_listed_and_downloaded_whole(client: TestClient, done: str) -> None:
    listed = client.get(f"/jobs/{done}/artifacts").json()["items"]
    assert [file["name"] for file in listed] == ["report.json", "report.md", "student.safetensors"]
    student = listed[-1]
    answer = client.get(student["href"])
    digest = hashlib.sha256(WEIGHTS).digest()
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    assert student["sha256"] == digest.hex()
    assert answer.headers["etag"] == f'"{digest.hex()}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert answer.headers["content-length"] == str(len(WEIGHTS))
    assert 'filename="student.safetensors"' in answer.headers["content-disposition"]
    assert answer.headers["accept-ranges"] == "bytes"
    assert client.get(f"/jobs/{done}/student").content == WEIGHTS
    head = client.head(f"/jobs/{done}/student")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(WEIGHTS)))


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=2000-", 2000, 2048), ("bytes=-5", 2043, 2048),
     ("bytes=-99999", 0, 2048), ("bytes=2040-99999", 2040, 2048)],
)  # fmt: skip
def test_a_range_is_that_range(client: TestClient, done: str, wanted: str, start: int, end: int) -> None:
    answer = client.get(f"/jobs/{done}/student", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (206, WEIGHTS[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/2048"
    assert answer.headers["content-length"] == str(end - start)


def test_ranges_that_cannot_be(client: TestClient, done: str) -> None:
    path = f"/jobs/{done}/student"
    for wanted in ("bytes=2048-", "bytes=-0"):
        answer = client.get(path, headers={"Range": wanted})
        problem(answer, 416, "range_not_satisfiable")
        assert answer.headers["content-range"] == "bytes */2048"
    for wanted in ("bytes=5-1", "bytes=0-1,4-5", "lines=0-1", "bytes=-", "x"):
        assert client.get(path, headers={"Range": wanted}).status_code == 200


def test_conditions_on_files(client: TestClient, done: str) -> None:
    path = f"/jobs/{done}/student"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    assert client.get(path, headers={"If-Range": tag, "Range": "bytes=0-1"}).status_code == 206
    assert client.get(path, headers={"If-Range": '"x"', "Range": "bytes=0-1"}).status_code == 200
    assert client.get(path, headers={"If-Match": f'"x", {tag}'}).status_code == 200
    problem(client.get(path, headers={"If-Match": '"x"'}), 412, "precondition_failed")


def test_a_download_in_pieces_is_the_file(client: TestClient, done: str) -> None:
    pieces = [
        client.get(f"/jobs/{done}/student", headers={"Range": f"bytes={at}-{at + 299}"}).content
        for at in range(0, len(WEIGHTS), 300)
    ]
    assert b"".join(pieces) == WEIGHTS


def test_the_report_is_markdown_or_json(client: TestClient, done: str) -> None:
    path = f"/jobs/{done}/report"
    assert client.get(path).headers["content-type"].startswith("text/markdown")
    assert client.get(path, headers={"Accept": "application/json"}).json() == {}
    assert client.get(f"{path}?format=json").json() == {}
    problem(client.get(path, headers={"Accept": "image/png"}), 406)


def test_files_that_are_not_there(client: TestClient, driver: Driver, done: str) -> None:
    waiting = driver.job()
    problem(client.get(f"/jobs/{waiting}/student"), 404, "no_such_artifact")
    for name in ("none", "../secret", "..%2f..%2fsecret", "%E2%82%AC"):
        problem(client.get(f"/jobs/{done}/artifacts/{name}"), 404)


def test_a_file_whose_bytes_are_gone_is_a_system_fault(client: TestClient, driver: Driver, done: str) -> None:
    driver.objects.delete(f"jobs/{done}/artifacts/student.safetensors")
    problem(client.get(f"/jobs/{done}/student"), 500, "object_missing")


class PublicStore:
    """A store whose clients can reach it."""

    def presigned(self, key: str, filename: str, media_type: str, seconds: int) -> str | None:
        return f"https://store.example/{key}?name={filename}&type={media_type}&seconds={seconds}"

    def __getattr__(self, name: str) -> Any:
        raise ObjectMissing(name)


FILE = StoredFile("jobs/a", "a", "text/plain", 10, "0" * 64)


def test_a_store_that_clients_reach_serves_its_files_itself() -> None:
    from starlette.datastructures import Headers

    store: ObjectStore = PublicStore()  # type: ignore[assignment]
    answer = respond(store, Lanes().storing, FILE, Headers({}), redirect=True)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith("https://store.example/jobs/a?")
    with pytest.raises(ObjectMissing):
        respond(store, Lanes().storing, FILE, Headers({}), redirect=False)


@given(first=st.integers(0, 4000), length=st.integers(0, 4000), suffix=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_range_is_a_slice_or_unsatisfiable(driver: Driver, first: int, length: int, suffix: bool) -> None:
    from starlette.datastructures import Headers

    path = driver.folder / "ranges"
    path.write_bytes(WEIGHTS)
    info = driver.objects.put("ranges", path)
    file = StoredFile("ranges", "r", "text/plain", info.size_bytes, info.sha256)
    header = f"bytes=-{length}" if suffix else f"bytes={first}-{first + length}"
    expected = WEIGHTS[-length:] if suffix and length else b"" if suffix else WEIGHTS[first : first + length + 1]
    if not expected:
        with pytest.raises(RangeNotSatisfiable):
            respond(driver.objects, Lanes().storing, file, Headers({"range": header}), redirect=True)
        return
    answer = respond(driver.objects, Lanes().storing, file, Headers({"range": header}), redirect=True)
    assert answer.status_code == 206
    assert answer.headers["content-length"] == str(len(expected))
    start = answer.headers["content-range"].split()[1].split("-")[0]
    assert WEIGHTS[int(start) :].startswith(expected)


def test_a_log_is_followed_from_its_tail(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    lease = driver.claim(job_id)

    def write(*numbers: int) -> None:
        driver.record(lease, *(Event("log", {"level": "info", "message": f"line {n}"}) for n in numbers))

    def read(**query: Any) -> tuple[list[int], str]:
        page = client.get(f"/jobs/{job_id}/logs", params=query).json()
        assert page["next_cursor"] is None
        return [int(line["message"].split()[1]) for line in page["items"]], page["follow"]

    empty, follow = read(tail=5)
    assert empty == []
    write(*range(10))
    assert read(after=follow)[0] == list(range(10))
    last, follow = read(tail=3)
    assert last == [7, 8, 9]
    assert read(after=follow) == ([], follow)
    write(10, 11, 12)
    assert read(after=follow, tail=2)[0] == [11, 12]
    assert read(after=follow)[0] == [10, 11, 12]
    for wrong in ({"tail": 0}, {"tail": 1001}, {"after": "!"}, {"after": "bm8"}):
        assert pointers(problem(client.get(f"/jobs/{job_id}/logs", params=wrong), 422)) == {"/" + next(iter(wrong))}
