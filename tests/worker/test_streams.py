"""Datasets of shards that stay where they lie: registered and trained on from real servers on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from minio import Minio

from distill.data.limits import DEFAULT, Limits
from distill.errors import InvalidDataset, RetortError
from distill.modalities.images.kinds import shards as kind
from distill.modalities.images.shards.index import Index
from distill.modalities.images.shards.refusal import ShardChanged, ShardGone, ShardUnavailable
from distill.modalities.images.shards.supply import NAMES, SUPPLY, Supply
from distill.types import DatasetInput, DistillConfig
from store import shard_references
from store.dataset_files import numbered
from store.egress import UrlRefused
from store.ids import new_id
from store.objects import FolderStore, ObjectStore
from store.repositories import jobs, resources
from store.repositories.tenants import DEFAULT_TENANT
from store.settings import Settings
from store.tables import Dataset
from tests.data.files import image_bytes, write_tar
from tests.data.shard_files import Site, sample, site, write_parquet_shards
from tests.services import s3 as s3_server
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.slowness import within
from tests.store.support import claimed
from tests.worker.support import World, settings_for, wait_until
from tests.worker.test_inspections import row_of
from worker.inspecting.inspections import Inspections
from worker.inspecting.inspector import ALLOWED, CPU_SECONDS
from worker.inspecting.process import COMMAND
from worker.inspecting.shard_list import listed as shards_of
from worker.inspecting.streams import SHARD_CPU_SECONDS, Stream
from worker.isolation import landlock
from worker.jobs import supervisor
from worker.jobs.supervisor import Supervisor
from worker.transfer import references
from worker.transfer.shard_lists import listed
from worker.transfer.shards import Entry
from worker.transfer.supplier import INSPECTED, Kept, Registering, Source, Store, Supplier

HERE = {"dataset_hosts": "127.0.0.1", "dataset_http_hosts": "127.0.0.1", "dataset_networks": "127.0.0.0/8"}
CONFIG = {"recipe": "cross_entropy", "epochs": 2, "batch_size": 4, "checkpoint_seconds": 0.01, "seed": 1,
          "device": "cpu"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path / "data", **HERE)


@pytest.fixture
def here(world: World) -> World:
    world.settings = settings_for(world.settings.data_dir, **HERE)
    return world


def sent_tars(objects: ObjectStore, folder: Path) -> dict[str, dict[str, Any]]:
    """`Dataset.files` of the folder's tars, as if they had been uploaded."""
    files: dict[str, dict[str, Any]] = {}
    for number, path in enumerate(sorted(folder.glob("*.tar"))):
        info = objects.put(f"uploads/upl_{number}", path)
        facts = {"object_key": info.key, "size_bytes": info.size_bytes, "sha256": info.sha256}
        files[numbered("all", number)] = facts | {"filename": path.name, "format": "tar"}
    return files


def inspected(world: World, *given: str, classes: list[str] | None = None, classes_from: str = "") -> Dataset:
    """The row of a new dataset, after its inspection by a real inspector."""
    shards = {"given": {"all": list(given)}, "classes": classes, "classes_from": classes_from}
    row = Dataset(
        id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="s", kind="shards", files={}, shards=shards, digest=""
    )
    with world.database.write() as session:
        session.add(row)
    inspections = Inspections(world.settings, world.database, world.objects, "wrk_test", world.leaving, COMMAND)
    assert inspections.run_next()
    assert not list(world.settings.scratch.glob("*"))
    found: Dataset = row_of(world, Dataset, row.id)
    return found


def queue(world: World, dataset_id: str, epochs: int = 2) -> None:
    config = DistillConfig.model_validate(CONFIG | {"epochs": epochs}).model_dump(mode="json")
    world.queue(dataset_id=dataset_id, config=config, student={"name": "retort:resnet8", "options": {"width": 4}})


def attempted(world: World) -> str | None:
    """One attempt of the job by a real trainer: the job's status."""
    boss = Supervisor(world.settings, world.database, world.objects, world.leaving, supervisor.COMMAND)
    return boss.supervise(claimed(world.database, world.job_id))


def entries_of(served: Site, names: list[str]) -> list[Entry]:
    found = [(served.url(name), (served.folder / name).read_bytes()) for name in names]
    return [Entry(url, len(data), hashlib.sha256(data).hexdigest()) for url, data in found]


@contextmanager
def supplied(settings: Settings, source: Source, count: int, folder: Path, kept: Path) -> Iterator[Supply]:
    folder.mkdir(exist_ok=True)
    with Supplier(folder / "links", folder / "wanted", kept, settings.shard_cache_bytes).start(source, count):
        yield Supply(folder / "links")


@contextmanager
def of_job(settings: Settings, entries: list[Entry], folder: Path) -> Iterator[Supply]:
    """What a trainer of a job has."""
    with supplied(settings, Kept(settings, entries), len(entries), folder, settings.kept_shards) as supply:
        yield supply


@pytest.mark.long
def test_a_dataset_is_registered_by_its_index_and_trains_a_student(here: World, served: Site) -> None:
    row = inspected(here, served.url("{000000..000003}.tar"))
    assert (row.status, row.error, row.task) == ("ready", None, "classify_images")
    assert row.report is not None
    assert sum(sum(counts) for counts in row.report["counts"].values()) == 40
    assert row.report["classes"] == ["0", "1", "2"]
    assert row.report["thumbnails"]["rows"] == 3
    assert row.shards is not None
    lying = sum((served.folder / f"{n:06}.tar").stat().st_size for n in range(4))
    assert (row.shards["count"], row.shards["size_bytes"]) == (4, lying)
    assert set(row.files) == {"index", "manifest"}
    assert row.size_bytes == sum(here.objects.size(file["object_key"]) for file in row.files.values()) < lying
    assert set(here.objects.keys(f"datasets/{row.id}/")) <= set(resources.object_keys(row))
    asked = len(served.asked)

    queue(here, row.id)
    assert attempted(here) == "succeeded"
    assert here.artifact_bytes("student.safetensors")
    cost = json.loads(here.artifact("report.json"))["shards"]
    assert (cost["fetched"], cost["fetched_bytes"], cost["again"], cost["crowded"]) == (4, lying, 0, 0)
    assert sorted(served.asked[asked:]) == [f"/{n:06}.tar" for n in range(4)]  # each once, for both epochs
    assert sum(path.stat().st_size for path in here.settings.kept_shards.iterdir() if path.is_file()) == lying
    assert here.nothing_left()


@pytest.mark.long
def test_a_killed_trainer_goes_on_with_the_same_batches_and_a_changed_shard_ends_the_job(
    here: World, served: Site
) -> None:
    row = inspected(here, served.url("{000000..000003}.tar"))
    queue(here, row.id, epochs=6)
    assert attempted(here) == "succeeded"
    undisturbed = here.artifact_bytes("student.safetensors")

    queue(here, row.id, epochs=6)
    ended: list[str | None] = []
    thread = threading.Thread(target=lambda: ended.append(attempted(here)))
    thread.start()
    wait_until(lambda: max(_steps(here), default=0) % 8, within(120))  # within an epoch of 8 batches
    for pid in survivors_of(here):
        os.kill(pid, signal.SIGKILL)
    thread.join(within(60))
    assert ended == ["queued"]
    assert attempted(here) == "succeeded"
    assert here.artifact_bytes("student.safetensors") == undisturbed

    for path in here.settings.kept_shards.iterdir():  # another host, which has none of them
        path.unlink() if path.is_file() else None
    write_tar(served.folder / "000002.tar", sample(77))
    queue(here, row.id)
    assert attempted(here) == "failed"
    error = here.job.error
    assert error is not None
    assert (error["code"], error["fault"]) == ("invalid_dataset", "user")
    assert error["details"]["shard"] == served.url("000002.tar")
    assert error["remedy"]


@pytest.mark.long
def test_tars_that_were_uploaded_are_inspected_and_train_a_student(here: World, served: Site) -> None:
    """A confined trainer reads them from the cache, which holds them under their sha256, and asks no server."""
    files = sent_tars(here.objects, served.folder)
    row = Dataset(id=new_id("dst"), tenant_id=DEFAULT_TENANT, name="s", kind="shards", files=files, digest="d" * 64)
    with here.database.write() as session:
        session.add(row)
    inspections = Inspections(here.settings, here.database, here.objects, "wrk_test", here.leaving, COMMAND)
    assert inspections.run_next()
    found = row_of(here, Dataset, row.id)
    assert (found.status, found.error, found.digest, found.shards) == ("ready", None, "d" * 64, None)
    assert found.files.keys() == {*files, "index"}
    queue(here, row.id)
    assert attempted(here) == "succeeded", here.job.error
    kept = {path.name for path in here.settings.kept_shards.iterdir() if path.is_file()}
    assert kept == {file["sha256"] for file in files.values()}
    assert served.asked == []
    assert here.nothing_left()

    for path in here.settings.kept_shards.iterdir():
        path.unlink() if path.is_file() else None
    here.objects.delete("uploads/upl_2")
    queue(here, row.id)
    assert attempted(here) == "failed"
    assert (here.job.error or {})["code"] == "input_damaged"


def _steps(world: World) -> list[int]:
    with world.database.read() as session:
        return [row.step for row in jobs.checkpoints(session, world.job_id)]


def survivors_of(world: World) -> list[int]:
    from worker.watching.survivors import survivors

    return survivors(str(world.settings.scratch / world.job_id / "1"))


def test_a_real_inspector_registers_tars_of_which_each_is_a_class(here: World, tmp_path: Path) -> None:
    """Not `long`: the one streamed inspection by a real inspector in every run of the tests."""
    (tmp_path / "site").mkdir()
    for number, name in enumerate(("n01440764", "n01443537")):
        images = {f"{n}.jpg": image_bytes(10 * number + n, (20, 24), form="JPEG") for n in range(3)}
        write_tar(tmp_path / "site" / f"{name}.tar", images)
    with site(tmp_path / "site") as served:
        row = inspected(here, *map(served.url, ("n01440764.tar", "n01443537.tar")), classes_from="shards")
    assert (row.status, row.error) == ("ready", None)
    assert row.report is not None
    assert row.report["classes"] == ["n01440764", "n01443537"]
    assert sum(sum(counts) for counts in row.report["counts"].values()) == 6
    assert set(row.files) == {"index", "manifest"}


@pytest.mark.long
def test_class_folders_are_registered_by_a_real_inspector(here: World, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    files = [f"{split}/{name}/{n}.jpg" for split in ("train", "test") for name in ("cat", "dog") for n in range(3)]
    for shard in range(2):
        held = {name: image_bytes(i, (20, 24), form="JPEG") for i, name in enumerate(files) if i % 2 == shard}
        write_tar(tmp_path / "site" / f"{shard}.tar", held)
    with site(tmp_path / "site") as served:
        row = inspected(here, served.url("{0..1}.tar"))
    assert (row.status, row.error) == ("ready", None)
    assert row.report is not None
    assert (row.report["classes"], row.report["counts"]) == (["cat", "dog"], {"train": [3, 3], "test": [3, 3]})


@pytest.mark.long
def test_parquet_shards_are_registered_by_a_real_inspector(here: World, tmp_path: Path) -> None:
    """It unpacks them where it is shut in, and makes its sheet of pictures of what it unpacked."""
    write_parquet_shards(tmp_path / "site", 3, 8, names=["cat", "dog", "bird"])
    with site(tmp_path / "site") as served:
        row = inspected(here, served.url("{000..002}.parquet"))
    assert (row.status, row.error) == ("ready", None)
    assert row.report is not None
    assert row.report["classes"] == ["cat", "dog", "bird"]
    assert row.report["thumbnails"]["rows"] == 3


@pytest.mark.long
def test_what_a_real_inspector_refuses_is_written_into_the_row(here: World, served: Site) -> None:
    """A label beyond the classes in the last shard; then one that its server does not have."""
    write_tar(served.folder / "000003.tar", sample(50, "7"))
    row = inspected(here, served.url("{000000..000003}.tar"), classes=["a", "b", "c"])
    assert (row.status, (row.error or {})["code"]) == ("invalid", "invalid_dataset")
    assert (row.error or {})["details"] | {"label": ""} == {
        "shard": served.url("000003.tar"), "key": "00050", "label": "",
    }  # fmt: skip
    assert not list(here.objects.keys(f"datasets/{row.id}/"))
    (served.folder / "000002.tar").unlink()
    row = inspected(here, served.url("{000000..000003}.tar"))
    assert (row.error or {})["details"]["shard"] == served.url("000002.tar")
    assert (row.error or {})["fault"] == "user"


@pytest.mark.long
def test_index_and_manifest_beyond_the_quota_are_refused_and_nothing_is_kept(here: World, served: Site) -> None:
    here.settings = settings_for(here.settings.data_dir, **HERE, max_stored_bytes=1000)
    row = inspected(here, served.url("{000000..000003}.tar"))
    assert (row.status, (row.error or {})["code"], (row.error or {})["fault"]) == ("invalid", "quota_exceeded", "user")
    assert (row.error or {})["remedy"]
    assert not list(here.objects.keys(f"datasets/{row.id}/"))


def test_all_images_are_decoded_where_that_is_asked_for(settings: Settings, served: Site, tmp_path: Path) -> None:
    given = [served.url("{000000..000003}.tar")]
    for decode, decoded in (("bounded", 4), ("all", 40)):  # a pixel a shard: the first image begins
        folder = tmp_path / decode
        folder.mkdir()
        index = index_of(settings, served, given, None, folder, Limits(verify_pixels=4), decode)
        assert index.column("decoded").sum() == decoded


def test_more_shards_may_take_more_processor_time(settings: Settings, served: Site, tmp_path: Path) -> None:
    allowed = []
    for count in (2, 4):
        given = {"all": [served.url(f"{{000000..{count - 1:06}}}.tar")]}
        row = Dataset(id=new_id("dst"), kind="shards", name="s", shards={"given": given, "classes": None})
        folder = tmp_path / str(count)
        folder.mkdir()
        objects = FolderStore(tmp_path / "objects")
        shards = shards_of(settings, objects, row, folder, lambda: None)
        stream = Stream(settings, objects, row, folder, lambda: None, shards)
        with stream.supplier:
            allowed.append(stream.request[ALLOWED])
    assert allowed[1] - allowed[0] == 2 * SHARD_CPU_SECONDS
    assert allowed[0] > CPU_SECONDS


def index_of(
    settings: Settings, served: Site, given: list[str], classes: list[str] | None, folder: Path,
    limits: Limits = DEFAULT, decode: str = "bounded",
) -> Index:  # fmt: skip
    """What an inspector makes of it, in this process."""
    roles = listed(settings, {"all": given}, folder, lambda: None)
    source = Registering(settings, roles["all"], folder / "kept", folder / "links")
    (folder / "names").write_text(json.dumps({"roles": roles, "classes": classes, "decode": decode}))
    with supplied(settings, source, len(roles["all"]), folder, folder / "kept"):
        files = {NAMES: str(folder / "names"), SUPPLY: str(folder / "links")}
        index = kind.index_of(DatasetInput(kind="shards", name="s", files=files), limits, folder)
    assert [(each.name, each.sha256) for each in index.shards] == [(each.url, each.sha256) for each in source.all()]
    assert len(list((folder / "kept").iterdir())) <= INSPECTED
    return index


NESTED = {"00099.jpg": sample(99)["00099.jpg"], "00099.tar": b"x"}
BAD = {
    "empty": ({}, None),
    "nested": (sample(50) | NESTED, None),
    "twice": (sample(50) | sample(3), None),
    "label": (sample(50, "7"), ["cat", "dog", "bird"]),
    "no image": (sample(50) | {"x.cls": b"1"}, None),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_shard_is_refused_by_its_name(settings: Settings, served: Site, tmp_path: Path, fault: str) -> None:
    files, classes = BAD[fault]
    write_tar(served.folder / "000007.tar", files)
    for number in range(4, 7):
        write_tar(served.folder / f"{number:06}.tar", sample(60 + number))
    (tmp_path / "w").mkdir()
    with pytest.raises(InvalidDataset) as refused:
        index_of(settings, served, [served.url("{000000..000007}.tar")], classes, tmp_path / "w")
    assert refused.value.details["shard"] == served.url("000007.tar")
    assert refused.value.remedy
    key = {"twice": "00003", "label": "00050", "no image": "x"}.get(fault)
    assert refused.value.details.get("key") == key


def test_parquet_shards_are_registered_and_read(settings: Settings, tmp_path: Path) -> None:
    write_parquet_shards(tmp_path / "site", 3, 8, names=["cat", "dog", "bird"])
    (tmp_path / "w").mkdir()
    with site(tmp_path / "site") as served:
        index = index_of(settings, served, [served.url("{000..002}.parquet")], None, tmp_path / "w")
        assert (index.classes, len(index)) == (("cat", "dog", "bird"), 24)
        with of_job(settings, entries_of(served, [f"{n:03}.parquet" for n in range(3)]), tmp_path / "j") as supply:
            cache = kind.ShardCache(tmp_path / "unpacked", 2**20)
            found = kind.opened(index, cache, DEFAULT, supply).splits["train"].images
            assert all(found.content(i).startswith(b"\xff\xd8") for i in range(len(found)))


@pytest.mark.parametrize("fault", ["gone", "shorter", "longer", "other", "away"])
def test_a_shard_that_is_not_what_was_registered(settings: Settings, served: Site, tmp_path: Path, fault: str) -> None:
    entries = entries_of(served, ["000000.tar", "000001.tar"])
    path = served.folder / "000001.tar"
    data = path.read_bytes()
    changed = {"shorter": data[:-512], "longer": data + bytes(512), "other": data[:-1] + b"x"}
    if fault == "gone":
        path.unlink()
    elif fault == "away":
        served.stumbles["000001.tar"] = ["503"] * references.TRIES
    else:
        path.write_bytes(changed[fault])
    raised = {"gone": ShardGone, "away": ShardUnavailable}.get(fault, ShardChanged)
    with of_job(settings, entries, tmp_path / "j") as supply:
        with pytest.raises(RetortError) as error:
            supply.path(1)
        assert type(error.value) is raised
        assert error.value.details["shard"] == served.url("000001.tar")
        assert (error.value.fault, error.value.retryable) == (("system", True) if fault == "away" else ("user", True))
        assert supply.path(0).read_bytes() == (served.folder / "000000.tar").read_bytes()
        path.write_bytes(data)  # put back: whoever asks again gets it
        assert supply.path(1).read_bytes() == data


def test_jobs_of_a_host_share_a_cache_within_its_budget(settings: Settings, served: Site, tmp_path: Path) -> None:
    names = [f"{n:06}.tar" for n in range(4)]
    entries = entries_of(served, names)
    two = sum(sorted(each.size_bytes for each in entries)[-2:])
    settings = settings_for(settings.data_dir, **HERE, shard_cache_bytes=two)
    with of_job(settings, entries, tmp_path / "a") as one, of_job(settings, entries, tmp_path / "b") as other:
        for number in [0, 1, 2, 3, 0, 1]:
            for supply in (one, other):
                assert supply.path(number).read_bytes() == (served.folder / names[number]).read_bytes()
        kept = [path for path in settings.kept_shards.iterdir() if path.is_file()]
        assert sum(path.stat().st_size for path in kept) <= two
    assert len(served.asked) < 12  # what one fetched the other had


def test_workers_of_a_cluster_share_what_one_has_fetched(served: Site, tmp_path: Path) -> None:
    names = [f"{n:06}.tar" for n in range(4)]
    entries, asked = entries_of(served, names), len(served.asked)
    for worker in ("wrk_1", "wrk_2"):
        settings = settings_for(tmp_path / worker, **HERE, ray_address="head:6379", ray_shared_dir=tmp_path / "shared")
        store = Store.of_cluster(settings, worker)
        source = Kept(settings, entries, store)
        with supplied(settings, source, len(names), tmp_path / f"job-{worker}", store.folder) as supply:
            for number, name in enumerate(names):
                assert supply.path(number).read_bytes() == (served.folder / name).read_bytes()
        assert not settings.kept_shards.exists()
    assert sorted(served.asked[asked:]) == [f"/{name}" for name in names]


def test_an_asker_gets_its_own_shards_whatever_it_writes(settings: Settings, served: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with of_job(settings, entries_of(served, ["000000.tar"]), tmp_path / "j") as supply:
        wanted = tmp_path / "j" / "wanted"
        for name in ("1", "-1", "x", "9" * 20, "٣", "0-", "0-x", f"1-{'a' * 16}", f"0-{'a' * 200}"):
            (wanted / name).write_text("1")
        (wanted / "2").symlink_to(secret)
        (wanted / "folder").mkdir()
        assert supply.path(0).is_file()
        wait_until(lambda: {path.name for path in wanted.iterdir()} <= {"folder"})
        assert {path.name for path in (tmp_path / "j" / "links" / "given").iterdir()} == {"0"}
    assert secret.read_text() == "x"


ELSEWHERE = [
    "http://169.254.169.254/{0..3}.tar", "https://example.org/{0..3}.tar", "file:///etc/{0..3}.tar", "/etc/{0..3}.tar",
    "s3://other/{0..3}.tar", "s3://other/folder/*.tar", "hf://datasets/a/b@main/*.parquet",
]  # fmt: skip


def test_shards_are_judged_as_every_address_that_a_user_names(settings: Settings, served: Site, tmp_path: Path) -> None:
    (served.folder / "list.txt").write_text(f"000000.tar\nhttp://169.254.169.254/1.tar\n{served.url('000001.tar')}\n")
    for given in [*ELSEWHERE, served.url("list.txt")]:
        with pytest.raises(UrlRefused):
            listed(settings, {"all": [given]}, tmp_path, lambda: None)
    assert set(served.asked) <= {"/list.txt"}


def test_a_redirect_of_a_shard_is_judged_anew(settings: Settings, tmp_path: Path) -> None:
    """At every job: what was registered may lead elsewhere later."""
    from tests.worker.test_references import Web, moved

    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, daemon=True)
    thread.start()
    try:
        web.answers = {"/0.tar": moved("http://169.254.169.254/0.tar")}
        entry = Entry(f"{web.url}/0.tar", 10, "0" * 64)
        with of_job(settings, [entry], tmp_path / "j") as supply, pytest.raises(RetortError) as refused:
            supply.path(0)
        assert (refused.value.code, refused.value.fault) == ("url_refused", "user")
        assert refused.value.details["shard"] == f"{web.url}/0.tar"
    finally:
        web.server.shutdown()
        web.server.server_close()
        thread.join()


def answered(handler: BaseHTTPRequestHandler, body: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


PAGE = b"<!doctype html><html><body>Please log in.</body></html>" * 20


def test_a_server_that_does_something_else_than_serving(
    settings: Settings, served: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends a page with 200, redirects in a circle, or stalls in the middle; at registration, and to a job."""
    from tests.worker.test_references import Web, moved

    monkeypatch.setattr(references, "TRIES", 1)
    data, over = (served.folder / "000000.tar").read_bytes(), threading.Event()

    def stalled(handler: BaseHTTPRequestHandler) -> None:
        answered(handler, data[:5000], len(data))
        handler.wfile.flush()
        over.wait(60)

    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, daemon=True)
    thread.start()
    web.answers = {
        "/page.tar": lambda handler: answered(handler, PAGE), "/page.parquet": lambda handler: answered(handler, PAGE),
        "/circle.tar": moved("/circle.tar"), "/stalled.tar": stalled,
    }  # fmt: skip
    expected: dict[str, tuple[tuple[str, str, bool], tuple[str, str, bool]]] = {
        "page.tar": (("invalid_dataset", "user", False), ("invalid_dataset", "user", True)),
        "page.parquet": (("invalid_dataset", "user", False), ("invalid_dataset", "user", True)),
        "circle.tar": (("invalid_dataset", "user", False), ("invalid_dataset", "user", True)),
        "stalled.tar": (("reference_unavailable", "system", True),) * 2,
    }
    try:
        for name, told in expected.items():
            url, folder = f"{web.url}/{name}", tmp_path / name
            folder.mkdir()
            if name == "stalled.tar":
                monkeypatch.setattr(references, "_TIMEOUT", httpx.Timeout(0.3))
            found = []
            with pytest.raises(RetortError) as refused:
                index_of(settings, served, [url], None, folder)
            found.append(refused.value)
            entry = Entry(url, len(data), "0" * 64)
            with of_job(settings, [entry], folder / "j") as supply, pytest.raises(RetortError) as refused:
                supply.path(0)
            found.append(refused.value)
            assert tuple((each.code, each.fault, each.retryable) for each in found) == told
            assert all(each.details["shard"] == url and each.remedy for each in found)
            assert not [path for path in settings.kept_shards.iterdir() if path.is_file()]
    finally:
        over.set()
        web.server.shutdown()
        web.server.server_close()
        thread.join()


@pytest.mark.parametrize("fault", ["cut", "empty"])
def test_a_parquet_shard_that_cannot_be_read_is_refused_by_its_name(
    settings: Settings, tmp_path: Path, fault: str
) -> None:
    write_parquet_shards(tmp_path / "site", 2, 6)
    bad = tmp_path / "site" / "001.parquet"
    bad.write_bytes(bad.read_bytes()[:-200] if fault == "cut" else b"")
    (tmp_path / "w").mkdir()
    with site(tmp_path / "site") as served, pytest.raises(InvalidDataset) as refused:
        index_of(settings, served, [served.url("{000..001}.parquet")], None, tmp_path / "w")
    assert refused.value.details["shard"] == served.url("001.parquet")


def test_a_bucket_that_refuses_changes_or_goes(
    settings: Settings, served: Site, tmp_path: Path, s3: s3_server.S3
) -> None:
    bucket = s3.new_bucket()
    store = Minio(s3.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)
    store.make_bucket(bucket_name=bucket)
    names = [f"{number:06}.tar" for number in range(3)]

    def put(name: str, content: str) -> None:
        store.fput_object(bucket_name=bucket, object_name=name, file_path=str(served.folder / content))

    for name in names:
        put(name, name)
    lying = entries_of(served, names)
    entries = [Entry(f"s3://{bucket}/{name}", e.size_bytes, e.sha256) for name, e in zip(names, lying, strict=True)]

    def known(secret: str, **more: Any) -> Settings:
        told = {"s3_endpoint": s3.endpoint, "s3_access_key": ACCESS_KEY, "dataset_buckets": f"{bucket},nothing"}
        return settings_for(settings.data_dir, **told, s3_secret_key=secret, **more)

    with of_job(known("wrong"), entries, tmp_path / "wrong") as supply, pytest.raises(ShardUnavailable) as denied:
        supply.path(0)
    with pytest.raises(RetortError) as unlisted:
        listed(known("wrong"), {"all": [f"s3://{bucket}/*.tar"]}, tmp_path, lambda: None)
    for error in (denied.value, unlisted.value):
        assert (error.code, error.fault) == ("reference_unavailable", "system")
        assert "RETORT_S3_ACCESS_KEY" in error.remedy
    with pytest.raises(InvalidDataset):
        listed(known(SECRET_KEY), {"all": ["s3://nothing/*.tar"]}, tmp_path, lambda: None)

    one = max(each.size_bytes for each in entries)
    with of_job(known(SECRET_KEY, shard_cache_bytes=one), entries, tmp_path / "j") as supply:
        supply.path(0), supply.path(1)  # the second takes the room of the first
        put(names[0], names[2])
        with pytest.raises(ShardChanged):
            supply.path(0)
        put(names[0], names[0])
        assert supply.path(0).read_bytes() == (served.folder / names[0]).read_bytes()
        for name in names:
            store.remove_object(bucket_name=bucket, object_name=name)
        store.remove_bucket(bucket_name=bucket)
        with pytest.raises(ShardGone):
            supply.path(2)


def test_shards_of_a_list_and_of_a_bucket(settings: Settings, served: Site, tmp_path: Path, s3: s3_server.S3) -> None:
    (served.folder / "list.txt").write_text("# all\n000000.tar\n{000001..000003}.tar\n")
    names = [served.url(f"{n:06}.tar") for n in range(4)]
    assert listed(settings, {"all": [served.url("list.txt")]}, tmp_path, lambda: None) == {"all": names}

    bucket = s3.new_bucket()
    store = Minio(s3.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)
    store.make_bucket(bucket_name=bucket)
    for number in range(4):
        path = served.folder / f"{number:06}.tar"
        for key in (f"photos/train-{number}.tar", f"photos/old/{number}.tar", f"photos/{number}.txt"):
            store.fput_object(bucket_name=bucket, object_name=key, file_path=str(path))
    settings = settings_for(
        settings.data_dir, s3_endpoint=s3.endpoint, s3_access_key=ACCESS_KEY, s3_secret_key=SECRET_KEY,
        dataset_buckets=f"{bucket}/photos",
    )  # fmt: skip
    urls = [f"s3://{bucket}/photos/train-{n}.tar" for n in range(4)]
    for given in (
        f"s3://{bucket}/photos/",
        f"s3://{bucket}/photos/tr*.tar",
        f"s3://{bucket}/photos/train-{{0..3}}.tar",
    ):
        assert listed(settings, {"all": [given]}, tmp_path, lambda: None) == {"all": urls}
    with pytest.raises(UrlRefused):
        listed(settings, {"all": [f"s3://{bucket}/*.tar"]}, tmp_path, lambda: None)
    entries = [Entry(url, each.size_bytes, each.sha256) for url, each in zip(urls, entries_of(
        served, [f"{n:06}.tar" for n in range(4)]), strict=True)]  # fmt: skip
    with of_job(settings, entries, tmp_path / "j") as supply:
        assert supply.path(3).read_bytes() == (served.folder / "000003.tar").read_bytes()
        store.remove_object(bucket_name=bucket, object_name="photos/train-2.tar")
        with pytest.raises(ShardGone):
            supply.path(2)


def test_what_no_list_of_shards_may_have(settings: Settings, served: Site, tmp_path: Path) -> None:
    def refused(**given: list[str]) -> RetortError:
        with pytest.raises(RetortError) as error:
            listed(settings, given, tmp_path, lambda: None)
        assert error.value.remedy
        return error.value

    one = [served.url(f"{n}.tar") for n in range(5)]
    assert refused(all=[*one[:2], *one[3:]]).details["missing"] == [2]
    assert refused(all=[one[0], one[0]]).details["shard"] == one[0]
    assert refused(train=one, test=[one[1]]).details["shard"] == one[1]
    assert refused(all=[served.url("a.tar.gz")]).code == "invalid_dataset"
    assert refused(all=[served.url("folder/*.tar")]).code == "url_refused"
    assert refused(all=[served.url("{5..3}.tar")]).code == "invalid_dataset"
    assert refused(all=[served.url("nothing.list")]).code == "invalid_dataset"
    assert shard_references.KIND == "shards"


HELD = """
import os, sys
from worker.isolation import landlock, libc
folder, known = sys.argv[1:]
libc.no_new_privileges()
landlock.restrict(landlock.Rules(by_name=(folder,)))
os.close(os.open(os.path.join(folder, known), os.O_RDONLY))
for attempt in (lambda: os.listdir(folder), lambda: os.open(os.path.join(folder, known), os.O_WRONLY)):
    try:
        attempt()
    except PermissionError:
        continue
    os._exit(3)
os._exit(0)
"""


@pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
def test_a_trainer_opens_shards_that_it_knows_and_lists_none(tmp_path: Path) -> None:
    (tmp_path / "known").write_text("x")
    assert subprocess.run([sys.executable, "-c", HELD, str(tmp_path), "known"], check=False).returncode == 0
