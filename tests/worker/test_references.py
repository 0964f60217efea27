"""Datasets by reference, fetched from real servers on this machine."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from distill.errors import InvalidDataset, RetortError
from store.egress import UrlRefused
from store.ids import new_id
from store.objects import ObjectInfo
from store.references import object_key, parse
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Dataset
from tests.services import s3 as s3_server
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.store.support import new_dataset
from tests.worker.support import World, settings_for, wait_until
from tests.worker.test_inspections import image_zip, row_of
from worker.inspecting.inspections import Inspections
from worker.inspecting.process import COMMAND
from worker.transfer import references
from worker.transfer.references import Download, ReferenceUnavailable

HERE = {"dataset_hosts": "127.0.0.1,localhost", "dataset_http_hosts": "127.0.0.1", "dataset_networks": "127.0.0.0/8"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
Answer = Callable[[BaseHTTPRequestHandler], None]


class Web:
    """A server whose paths answer as a test says; `asked` lists the requests."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                web.answers[self.path](self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, daemon=True)
    thread.start()
    yield web
    web.server.shutdown()
    web.server.server_close()
    thread.join()


def says(content: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in ({"Content_Length": str(len(content))} | headers).items():
            if value:
                request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return answer


def moved(to: str) -> Answer:
    return says(b"elsewhere", 302, Location=to)


def download(settings: Settings, url: str, folder: Path) -> ObjectInfo:
    return Download(settings, parse(settings, url), folder / "file", lambda: None).run()


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, **HERE)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "PAUSE_SECONDS", 0.0)


def test_a_file_behind_redirects(here: Settings, web: Web, tmp_path: Path) -> None:
    web.answers = {"/a": moved("/b?x=1"), "/b?x=1": moved(f"{web.url}/c"), "/c": says(b"content")}
    info = download(here, f"{web.url}/a", tmp_path)
    assert (info.size_bytes, info.sha256) == (7, sha256(b"content").hexdigest())
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:PORT/c",  # http only to 127.0.0.1
        "https://10.0.0.1/c",
        "https://example.org/c",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user:password@127.0.0.1:PORT/c",
        "",
        "http://[127.0.0.1:PORT/c",
    ],
)
def test_every_redirect_is_judged_anew(here: Settings, web: Web, tmp_path: Path, target: str) -> None:
    to = target.replace("PORT", str(web.server.server_port))
    web.answers = {"/a": moved(to), "/c": says(b"secret")}
    with pytest.raises((UrlRefused, InvalidDataset)):
        download(here, f"{web.url}/a", tmp_path)
    assert "/c" not in web.asked
    assert not (tmp_path / "file").exists()


def test_loopback_is_private_unless_a_setting_says_otherwise(web: Web, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, **(HERE | {"dataset_networks": ""}))
    web.answers = {"/a": says(b"x")}
    with pytest.raises(UrlRefused, match="not a public address"):
        download(settings, f"{web.url}/a", tmp_path)
    assert not web.asked


def test_redirects_in_a_circle(here: Settings, web: Web, tmp_path: Path) -> None:
    web.answers = {"/a": moved("/a")}
    with pytest.raises(InvalidDataset, match="redirects more than 5 times"):
        download(here, f"{web.url}/a", tmp_path)
    assert len(web.asked) == 6


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_the_server_refuses_is_not_asked_for_again(here: Settings, web: Web, tmp_path: Path, status: int) -> None:
    web.answers = {"/a": says(b"", status)}
    with pytest.raises(InvalidDataset, match=str(status)):
        download(here, f"{web.url}/a", tmp_path)
    assert len(web.asked) == 1


def test_a_server_that_stumbles_is_asked_again(here: Settings, web: Web, tmp_path: Path) -> None:
    def stumbling(request: BaseHTTPRequestHandler) -> None:
        says(b"", 503)(request) if len(web.asked) < 3 else says(b"content")(request)

    web.answers = {"/a": stumbling, "/cut": says(b"half", Content_Length="100"), "/b": says(b"", 500)}
    assert download(here, f"{web.url}/a", tmp_path).size_bytes == 7
    for path in ("/b", "/cut"):
        with pytest.raises(ReferenceUnavailable):
            download(here, f"{web.url}{path}", tmp_path)
    assert len(web.asked) == 9


def test_a_server_that_is_not_there(here: Settings, tmp_path: Path, web: Web) -> None:
    web.server.shutdown()
    web.server.server_close()
    with pytest.raises(ReferenceUnavailable):
        download(here, f"{web.url}/a", tmp_path)


def test_caps(web: Web, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, **HERE, max_upload_bytes=1000)
    packed = gzip.compress(bytes(100_000), mtime=0)
    web.answers = {
        "/said": says(b"x", Content_Length="2000"),
        "/unsaid": says(bytes(100_000), Content_Length=""),
        "/packed": says(packed, Content_Encoding="gzip"),
    }
    for path, word in (("/said", "larger than"), ("/unsaid", "larger than"), ("/packed", "encoded")):
        with pytest.raises(InvalidDataset, match=word):
            download(settings, f"{web.url}{path}", tmp_path)
    assert len(web.asked) == 3


@pytest.mark.parametrize("drop", [b"x", b"X-Header: of many\r\n", b""])
def test_a_server_that_trickles(web: Web, tmp_path: Path, drop: bytes) -> None:
    """In the body, in the head, or not at all: the time is over, leases were renewed meanwhile, and no thread stays."""
    looks = list[float]()

    def trickle(request: BaseHTTPRequestHandler) -> None:
        if drop == b"x":
            says(b"", Content_Length="100000")(request)
        else:
            request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            request.wfile.write(drop)
            time.sleep(0.05)

    web.answers = {"/a": trickle}
    settings = settings_for(tmp_path, **HERE, dataset_fetch_seconds=0.5)
    started = time.monotonic()
    with pytest.raises(InvalidDataset, match=r"longer than 0\.5 s"):
        Download(
            settings, parse(settings, f"{web.url}/a"), tmp_path / "file", lambda: looks.append(time.monotonic())
        ).run()
    assert time.monotonic() - started < 4
    assert len(looks) >= 3
    wait_until(lambda: not any(thread.name == "watched" for thread in threading.enumerate()), 10)


def test_ending_does_not_wait_for_the_file(here: Settings, web: Web, tmp_path: Path) -> None:
    class Ending(Exception):
        pass

    def end() -> None:
        raise Ending

    web.answers = {"/a": says(bytes(1000))}
    with pytest.raises(Ending):
        Download(here, parse(here, f"{web.url}/a"), tmp_path / "file", end).run()


def test_the_hub(web: Web, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, **HERE, huggingface=True, huggingface_endpoint=web.url)
    web.answers = {
        f"/datasets/o/n/resolve/{COMMIT}/train.parquet": moved(f"{web.url}/large"),
        "/large": says(b"PAR1"),
    }
    assert download(settings, f"hf://datasets/o/n@{COMMIT}/train.parquet", tmp_path).size_bytes == 4


def registered(world: World, **urls: dict[str, str]) -> str:
    row = Dataset(
        id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="d", kind="reference", files=dict(urls), status="inspecting"
    )
    with world.database.write() as session:
        session.add(row)
    return row.id


def inspections(world: World, **values: Any) -> Inspections:
    settings = settings_for(world.settings.data_dir, **(HERE | values))
    return Inspections(settings, world.database, world.objects, "wrk_test", world.leaving, COMMAND)


def test_a_reference_becomes_a_dataset_of_stored_bytes(world: World, web: Web, tmp_path: Path) -> None:
    content = image_zip(tmp_path / "a.zip").read_bytes()
    digest = sha256(content).hexdigest()
    web.answers = {"/a.zip": says(content)}
    dataset_id = registered(world, all={"url": f"{web.url}/a.zip", "filename": "a.zip", "expected_sha256": digest})
    assert inspections(world).run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.kind, row.size_bytes, row.error) == ("ready", "archive", len(content), None)
    assert row.digest == sha256(f"all {digest}\n".encode()).hexdigest()
    assert row.files["all"]["format"] == "zip"
    assert b"".join(world.objects.read(row.files["all"]["object_key"])) == content
    assert row.report["classes"] == ["class0", "class1"]
    assert not list(world.settings.scratch.glob("*"))


@pytest.mark.parametrize(
    ("url", "code", "word"),
    [
        ("/a.zip", "invalid_dataset", "sha256"),
        ("/text", "invalid_dataset", "is not zip"),
        ("/none", "invalid_dataset", "404"),
        ("/moved", "url_refused", "not a public address"),
        ("/down", "reference_unavailable", "503"),
    ],
)
def test_references_that_cannot_be_used(world: World, web: Web, tmp_path: Path, url: str, code: str, word: str) -> None:
    web.answers = {
        "/a.zip": says(image_zip(tmp_path / "a.zip").read_bytes()),
        "/text": says(b"hello"),
        "/none": says(b"", 404),
        "/moved": moved("https://127.0.0.2/x"),
        "/down": says(b"", 503),
    }
    promised = {"expected_sha256": "0" * 64} if word == "sha256" else {}
    dataset_id = registered(world, all={"url": f"{web.url}{url}", "filename": "x"} | promised)
    settings = {"dataset_networks": "127.0.0.1/32", "dataset_hosts": "127.0.0.*"}
    assert inspections(world, **settings).run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.error["code"]) == ("invalid", code)
    assert word in row.error["message"]
    assert not list(world.objects.keys(""))


def test_kinds_that_differ(world: World, web: Web, tmp_path: Path) -> None:
    web.answers = {"/a.zip": says(image_zip(tmp_path / "a.zip").read_bytes()), "/b.csv": says(b"image,label\n")}
    dataset_id = registered(world, **both(web, "a.zip", "b.csv"))
    assert inspections(world).run_next()
    assert "different kinds" in row_of(world, Dataset, dataset_id).error["message"]
    assert not list(world.objects.keys(""))


def both(web: Web, train: str, test: str) -> dict[str, dict[str, str]]:
    names = {"train": train, "test": test}
    return {role: {"url": f"{web.url}/{name}", "filename": name} for role, name in names.items()}


@pytest.mark.parametrize("said", [True, False], ids=["content-length", "no-length"])
def test_what_passes_the_quota_is_refused_as_soon_as_that_is_known(world: World, web: Web, said: bool) -> None:
    sent: list[int] = []

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if said:
            request.send_header("Content-Length", str(10**9))
        request.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                request.wfile.write(bytes(2**20))
                sent.append(2**20)

    web.answers = {"/a.zip": drip}
    new_dataset(world.database, size_bytes=300)
    dataset_id = registered(world, all={"url": f"{web.url}/a.zip", "filename": "a"})
    assert inspections(world, max_stored_bytes=1000).run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.size_bytes, row.error["code"], row.error["fault"]) == (
        "invalid", 0, "quota_exceeded", "user",
    )  # fmt: skip
    assert "300 bytes and may keep 1,000" in row.error["message"]
    assert "Delete" in row.error["remedy"]
    details = row.error["details"]
    assert (details["quota"], details["limit"], details["used"]) == ("stored_bytes", 1000, 300)
    assert details["wanted"] == 10**9 if said else 700 < details["wanted"] <= 2**20
    assert sum(sent) < 100 * 2**20  # what lies between two sockets, and no more
    assert web.asked == ["/a.zip"]
    assert not list(world.objects.keys(""))
    assert not list(world.settings.scratch.glob("*"))


def test_files_of_a_dataset_count_together(world: World, web: Web, tmp_path: Path) -> None:
    content = image_zip(tmp_path / "a.zip").read_bytes()
    web.answers = {"/a.zip": says(content), "/b.zip": says(content)}
    dataset_id = registered(world, **both(web, "a.zip", "b.zip"))
    assert inspections(world, max_stored_bytes=2 * len(content) - 1).run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.error["code"]) == ("invalid", "quota_exceeded")
    assert row.error["details"]["wanted"] == 2 * len(content)
    assert not list(world.objects.keys(""))
    fits = registered(world, **both(web, "a.zip", "b.zip"))
    assert inspections(world, max_stored_bytes=2 * len(content)).run_next()
    assert row_of(world, Dataset, fits).status == "ready"


def test_deleted_while_it_is_fetched(world: World, web: Web, tmp_path: Path) -> None:
    content = image_zip(tmp_path / "a.zip").read_bytes()
    dataset_id = ""

    def delete_first(request: BaseHTTPRequestHandler) -> None:
        with world.database.write() as session:
            session.delete(session.get_one(Dataset, dataset_id))
        says(content)(request)

    web.answers = {"/a.zip": delete_first}
    dataset_id = registered(world, all={"url": f"{web.url}/a.zip", "filename": "a"})
    assert inspections(world).run_next()
    assert object_key(dataset_id, "all") not in list(world.objects.keys(""))


@pytest.mark.services
def test_two_workers_do_not_take_a_large_file_from_each_other(
    world: World, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storing it may take longer than a lease."""
    web.answers = {"/a.zip": says(image_zip(tmp_path / "a.zip").read_bytes())}
    dataset_id = registered(world, all={"url": f"{web.url}/a.zip"})
    put = world.objects.put

    def slowly(key: str, path: Path) -> ObjectInfo:
        time.sleep(3)
        return put(key, path)

    monkeypatch.setattr(world.objects, "put", slowly)
    workers = [threading.Thread(target=inspections(world, lease_seconds=1).run_next) for _ in range(2)]
    for worker in workers:
        worker.start()
        time.sleep(1.5)
    for worker in workers:
        worker.join(60)
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.attempt) == ("ready", 1)


def test_buckets_of_the_operator(s3: s3_server.S3, tmp_path: Path) -> None:
    client = Minio(
        endpoint=s3.endpoint.removeprefix("http://"), access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False,
        region="us-east-1",
    )  # fmt: skip
    archive = image_zip(tmp_path / "x.zip")  # once: its bytes hold the time
    mine, other = s3.new_bucket(), s3.new_bucket()
    for bucket in (mine, other):
        client.make_bucket(bucket_name=bucket)
        client.fput_object(bucket_name=bucket, object_name="a/x.zip", file_path=str(archive))
    settings = settings_for(
        tmp_path, s3_endpoint=s3.endpoint, s3_access_key=ACCESS_KEY, s3_secret_key=SECRET_KEY,
        dataset_buckets=f"{mine}, not-there-at-all",
    )  # fmt: skip
    info = download(settings, f"s3://{mine}/a/x.zip", tmp_path)
    assert info.sha256 == sha256(archive.read_bytes()).hexdigest()
    for url in (f"s3://{mine}/none", "s3://not-there-at-all/x"):
        with pytest.raises(InvalidDataset, match="There is no s3://"):
            download(settings, url, tmp_path)
    assert not client.bucket_exists(bucket_name="not-there-at-all")
    with pytest.raises(UrlRefused):
        download(settings, f"s3://{other}/a/x.zip", tmp_path)
    small = settings.model_copy(update={"max_upload_bytes": 10})
    with pytest.raises(RetortError, match="larger than"):
        download(small, f"s3://{mine}/a/x.zip", tmp_path)
