"""Teachers from a Hugging Face repository: a local server in the hub's layout, the real inspector."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from distill.errors import InvalidTeacher
from distill.models import build
from distill.types import Architecture
from store.egress import UrlRefused
from store.ids import new_id
from store.repositories.tenants import DEFAULT_TENANT, ensure_default
from store.sources import to_json
from store.tables import Teacher
from tests.worker.support import World, settings_for
from tests.worker.test_inspections import row_of
from worker.inspecting.inspections import Inspections
from worker.transfer import hub
from worker.transfer.room import ENDLESS

REPOSITORY, REVISION = "owner/tiny", "a" * 40
Files = dict[str, bytes]


class Hub:
    """`/api/models/R/tree/REV` and `/R/resolve/REV/FILE`, large files behind a redirect, as the hub has them."""

    def __init__(self) -> None:
        self.files: Files = {}
        self.lies: dict[str, str] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        resolve, lfs = f"/{REPOSITORY}/resolve/{REVISION}/", "/lfs/"
        if handler.path == f"/api/models/{REPOSITORY}/tree/{REVISION}":
            self.send(handler, json.dumps([self.entry(name) for name in self.files]).encode())
        elif handler.path.startswith(resolve) and handler.path.removeprefix(resolve) in self.files:
            handler.send_response(302)
            handler.send_header("Location", f"{lfs}{handler.path.removeprefix(resolve)}")
            handler.end_headers()
        elif handler.path.startswith(lfs):
            self.send(handler, self.files[handler.path.removeprefix(lfs)])
        else:
            handler.send_error(404)

    def entry(self, name: str) -> dict[str, Any]:
        oid = self.lies.get(name, hashlib.sha256(self.files[name]).hexdigest())
        return {"type": "file", "path": name, "size": len(self.files[name]), "oid": "x", "lfs": {"oid": oid}}

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def server() -> Iterator[Hub]:
    served = Hub()
    yield served
    served.server.shutdown()
    served.server.server_close()


def allowed(server: Hub, folder: Path, **values: Any) -> Any:
    given = {"huggingface": True, "huggingface_endpoint": server.url}
    given |= {"dataset_http_hosts": "127.0.0.1", "dataset_networks": "127.0.0.0/8"}
    return settings_for(folder, **given | values)


def state() -> dict[str, torch.Tensor]:
    return build(Architecture(name="retort:resnet8"), 3, 3).state_dict()


def sharded() -> Files:
    tensors = state()
    names = sorted(tensors)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    weight_map = {name: file for file, members in halves.items() for name in members}
    files = {file: save({name: tensors[name] for name in members}) for file, members in halves.items()}
    return files | {hub.INDEX: json.dumps({"weight_map": weight_map}).encode()}


def pickled(folder: Path) -> Files:
    torch.save(state(), folder / "m.bin")
    return {hub.PICKLED: (folder / "m.bin").read_bytes()}


def registered(world: World) -> str:
    teacher_id = new_id("tch")
    row = Teacher(
        id=teacher_id, tenant_id=DEFAULT_TENANT, name="t", architecture={"name": "retort:resnet8", "options": {}},
        object_key=f"teachers/{teacher_id}/weights.safetensors", size_bytes=0, sha256="",
        source=to_json([], huggingface={"repo_id": REPOSITORY, "revision": REVISION}),
    )  # fmt: skip
    with world.database.write() as session:
        ensure_default(session)
        session.add(row)
    return teacher_id


def inspected(world: World, settings: Any) -> Teacher:
    teacher_id = registered(world)
    inspections = Inspections(settings, world.database, world.objects, "wrk_test", world.leaving)
    assert inspections.run_next()
    row: Teacher = row_of(world, Teacher, teacher_id)
    return row


@pytest.mark.parametrize("kind", ["safetensors", "shards", "pickle"])
def test_a_repositorys_checkpoint_becomes_a_teacher(world: World, server: Hub, tmp_path: Path, kind: str) -> None:
    made = {"safetensors": lambda: {hub.SINGLE: save(state())}, "shards": sharded, "pickle": lambda: pickled(tmp_path)}
    checkpoint = made[kind]()
    server.files = checkpoint | {"modeling.py": b"raise SystemExit", "config.json": b"{}"}
    row = inspected(world, allowed(server, world.settings.data_dir))
    assert (row.status, row.error) == ("ready", None)
    assert row.source is not None
    assert row.source["huggingface"] == {"repo_id": REPOSITORY, "revision": REVISION}
    fetched = {file["filename"]: file["sha256"] for file in row.source["files"]}
    assert fetched == {name: hashlib.sha256(data).hexdigest() for name, data in checkpoint.items()}
    assert list(world.objects.keys("teachers/")) == [row.object_key]
    assert row.size_bytes == world.objects.size(row.object_key)
    assert not any(name in asked for asked in server.asked for name in ("modeling.py", "config.json"))


def test_without_leave_nothing_is_called(world: World, server: Hub) -> None:
    server.files = {hub.SINGLE: save(state())}
    row = inspected(world, allowed(server, world.settings.data_dir, huggingface=False))
    assert row.error is not None
    assert (row.status, row.error["code"], server.asked) == ("invalid", "url_refused", [])


def test_a_hub_at_a_private_address_is_not_called(world: World, server: Hub) -> None:
    """An endpoint that resolves to this machine, without the operator's leave for its network."""
    server.files = {hub.SINGLE: save(state())}
    row = inspected(world, allowed(server, world.settings.data_dir, dataset_networks=""))
    assert row.error is not None
    assert (row.error["code"], server.asked) == ("url_refused", [])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"files": {"README.md": b"x"}}, "no checkpoint"),
        ({"files": {}}, "no checkpoint"),
        ({"files": {hub.SINGLE: b"nonsense"}}, "safetensors"),
        ({"files": {"pytorch_model-00001-of-00002.bin": b"x"}}, "no checkpoint"),
        ({"files": {hub.SINGLE: b"x" * 5000}, "settings": {"max_upload_bytes": 4999}}, "may be fetched"),
        ({"files": {hub.SINGLE: save(state())}, "lies": {hub.SINGLE: "0" * 64}}, "other bytes"),
    ],
)
def test_what_is_no_checkpoint_is_refused(world: World, server: Hub, change: dict[str, Any], says: str) -> None:
    server.files, server.lies = change["files"], change.get("lies", {})
    row = inspected(world, allowed(server, world.settings.data_dir, **change.get("settings", {})))
    assert row.error is not None
    assert (row.status, row.error["code"]) == ("invalid", "invalid_teacher")
    assert says in row.error["message"]
    assert list(world.objects.keys("teachers/")) == []
    assert not list(world.settings.scratch.glob("*"))


@pytest.mark.parametrize("listed", [True, False])
def test_a_checkpoint_that_passes_the_quota_is_refused(world: World, server: Hub, listed: bool) -> None:
    """By the sizes that the hub lists before anything is fetched, and by what comes where it lists none."""
    server.files = sharded()
    total = sum(len(content) for content in server.files.values())
    if not listed:
        entry = server.entry
        server.entry = lambda name: entry(name) | {"size": 0}  # type: ignore[method-assign]
    row = inspected(world, allowed(server, world.settings.data_dir, max_stored_bytes=total - 1))
    assert row.error is not None
    assert (row.status, row.error["code"]) == ("invalid", "quota_exceeded")
    assert row.error["details"] == {"quota": "stored_bytes", "limit": total - 1, "used": 0, "wanted": total}
    assert [path for path in server.asked if path.startswith("/lfs/")] == ([] if listed else lfs(server.files))
    assert list(world.objects.keys("teachers/")) == []
    assert not list(world.settings.scratch.glob("*"))


def lfs(names: Files) -> list[str]:
    return [f"/lfs/{name}" for name in sorted(names, key=lambda name: name != hub.INDEX)]


@pytest.mark.parametrize("listing", [b"{", b"{}", b'[{"type": "file"}]', b"[1]", b'"x"', b"[" * 100_000])
def test_a_listing_that_is_none_is_refused(tmp_path: Path, server: Hub, listing: bytes) -> None:
    server.answer = lambda handler: Hub.send(handler, listing)  # type: ignore[method-assign]
    settings = allowed(server, tmp_path)
    with pytest.raises(InvalidTeacher):
        hub.fetch(settings, REPOSITORY, REVISION, tmp_path / "source", ENDLESS, lambda: None)


def test_names_of_the_hub_never_become_paths(tmp_path: Path, server: Hub) -> None:
    hostile = {"../../escaped.safetensors": {}, "a/b.safetensors": {}, ".x.safetensors": {}, hub.INDEX: {}}
    with pytest.raises(InvalidTeacher):
        hub.chosen(hostile, REPOSITORY)
    assert hub.chosen(hostile | {"m-1.safetensors": {}}, REPOSITORY) == [hub.INDEX, "m-1.safetensors"]
    with pytest.raises(UrlRefused):
        hub.fetch(settings_for(tmp_path), REPOSITORY, REVISION, tmp_path / "source", ENDLESS, lambda: None)


def test_the_configuration_of_a_network_that_is_built_by_it_is_taken_along(server: Hub, tmp_path: Path) -> None:
    server.files = {hub.SINGLE: save(state()), "config.json": b"{}", "README.md": b"x"}
    settings = allowed(server, tmp_path)
    beside = ("config.json", "preprocessor_config.json")
    found = hub.fetch(settings, REPOSITORY, REVISION, tmp_path / "with", ENDLESS, lambda: None, beside)
    assert [file.filename for file in found] == [hub.SINGLE, "config.json"]
    assert sorted(path.name for path in (tmp_path / "with").iterdir()) == ["config.json", hub.SINGLE]
    alone = hub.fetch(settings, REPOSITORY, REVISION, tmp_path / "without", ENDLESS, lambda: None)
    assert [file.filename for file in alone] == [hub.SINGLE]
