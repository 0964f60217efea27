"""A teacher's conversion is done once, however often it is begun."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.models import build
from distill.types import Architecture
from store.ids import new_id
from store.objects import StorageUnavailable
from store.repositories.tenants import DEFAULT_TENANT
from store.sources import SourceFile, digest, files_of, to_json
from store.tables import Teacher
from tests.worker.support import World, settings_for
from tests.worker.test_inspections import row_of
from worker.inspecting.inspections import Inspections
from worker.inspecting.process import COMMAND


def sent(world: World, path: Path, value: Any) -> str:
    """A teacher that came as the `torch.save` file of `value`."""
    torch.save(value, path)
    teacher_id = new_id("tch")
    info = world.objects.put(f"teachers/{teacher_id}/source/0", path)
    source = [SourceFile("model.pt", info.key, info.size_bytes, info.sha256)]
    row = Teacher(
        id=teacher_id, tenant_id=DEFAULT_TENANT, name="t", architecture={"name": "retort:resnet8", "options": {}},
        object_key=f"teachers/{teacher_id}/weights.safetensors", size_bytes=info.size_bytes, sha256=info.sha256,
        source=to_json(source),
    )  # fmt: skip
    with world.database.write() as session:
        session.add(row)
    return teacher_id


def inspections(world: World, objects: Any = None, command: tuple[str, ...] = COMMAND) -> Inspections:
    settings = settings_for(world.settings.data_dir)
    return Inspections(settings, world.database, objects or world.objects, "wrk_test", world.leaving, command)


def state() -> dict[str, torch.Tensor]:
    return build(Architecture(name="retort:resnet8"), 3, 3).state_dict()


def check_ready(world: World, teacher_id: str) -> None:
    row = row_of(world, Teacher, teacher_id)
    assert (row.status, row.error) == ("ready", None)
    assert list(world.objects.keys("teachers/")) == [row.object_key]
    assert world.objects.size(row.object_key) == row.size_bytes
    assert files_of(row.source)[0].sha256 != row.sha256
    assert not list(world.settings.scratch.glob("*"))


def test_a_worker_that_died_behind_the_last_step_but_one_is_followed_by_another(world: World, tmp_path: Path) -> None:
    """The converted object was stored, and then nobody said so."""
    teacher_id = sent(world, tmp_path / "m.pt", state())
    (tmp_path / "half").write_bytes(b"of an earlier conversion")
    world.objects.put(f"teachers/{teacher_id}/weights.safetensors", tmp_path / "half")
    assert inspections(world).run_next()
    check_ready(world, teacher_id)


class Failing:
    """A store that takes nothing the first time."""

    def __init__(self, objects: Any) -> None:
        self._objects, self.failures = objects, 1

    def put(self, key: str, path: Path) -> Any:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("not now")
        return self._objects.put(key, path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


def test_a_store_that_is_away_when_the_weights_are_kept_is_asked_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.inspecting.inspections.AGAIN_SECONDS", 0.0)
    teacher_id = sent(world, tmp_path / "m.pt", state())
    inspecting = inspections(world, Failing(world.objects))
    assert inspecting.run_next()
    assert row_of(world, Teacher, teacher_id).status == "inspecting"
    assert inspecting.run_next()
    check_ready(world, teacher_id)


def test_a_deleted_teacher_is_not_made_again(world: World, tmp_path: Path) -> None:
    """Deleted while its conversion is being stored: the row decides, and nothing of it comes back."""
    teacher_id = sent(world, tmp_path / "m.pt", state())
    deleted = threading.Event()

    class Deleting(Failing):
        def put(self, key: str, path: Path) -> Any:
            with world.database.write() as session:
                session.delete(session.get_one(Teacher, teacher_id))
            deleted.set()
            return self._objects.put(key, path)

    assert inspections(world, Deleting(world.objects)).run_next()
    assert deleted.is_set()
    assert list(world.objects.keys(f"teachers/{teacher_id}/weights")) == []


def test_what_the_store_changed_is_not_converted(world: World, tmp_path: Path) -> None:
    teacher_id = sent(world, tmp_path / "m.pt", state())
    (tmp_path / "other").write_bytes(b"other")
    world.objects.put(f"teachers/{teacher_id}/source/0", tmp_path / "other")
    assert inspections(world).run_next()
    assert row_of(world, Teacher, teacher_id).error["code"] == "input_damaged"


def test_digests_of_several_files_depend_on_names_and_not_on_order() -> None:
    one, two = SourceFile("a", "k1", 1, "1" * 64), SourceFile("b", "k2", 1, "2" * 64)
    assert digest([one]) == "1" * 64
    assert digest([one, two]) == digest([two, one])
    assert digest([one, two]) != digest([one, SourceFile("c", "k2", 1, "2" * 64)])
    assert files_of(to_json([one, two], notes=[])) == [one, two]
    assert files_of(None) == []
