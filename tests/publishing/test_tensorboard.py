"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.publishing.world import METRICS, World, ask, look


def test_the_history_is_read_back(world: World, client: TestClient, student: str, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = ask(client, student, "tensorboard", again=True)
    assert world.run(made) == "succeeded"
    found = look(client, made)
    (file,) = found["files"]
    content = client.get(file["href"]).content
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    (tmp_path / file["name"].rpartition("/")[2]).write_bytes(content)
    reader = EventAccumulator(str(tmp_path)).Reload()
    wanted: dict[str, list[tuple[int, float]]] = {}
    for step, split, values in METRICS:
        for name, value in values.items():
            wanted.setdefault(f"{split}/{name}", []).append((step, pytest.approx(value, rel=1e-6)))
    assert set(reader.Tags()["scalars"]) == set(wanted)
    for tag, rows in wanted.items():
        assert [(each.step, each.value) for each in reader.Scalars(tag)] == rows
    assert found["receipt"]["rows"] == len(METRICS)
