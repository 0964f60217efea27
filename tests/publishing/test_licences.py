"""Licences of teacher and dataset: what the hub's cards name, what clashes, and what the student's card says."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from publishing.licences import common, licence, section, warnings
from store.tables import Dataset, Job, Teacher
from tests.publishing.hub import Hub
from tests.publishing.world import World, ask, look

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("teacher", "dataset", "clash", "both"),
    [
        ("apache-2.0", "apache-2.0", False, "Apache-2.0"),
        ("apache-2.0", "mit", False, None),
        ("apache-2.0", "cc-by-nc-4.0", False, None),
        ("apache-2.0", "gpl-3.0", False, None),
        ("gpl-3.0", "gpl-3.0", False, "GPL-3.0"),
        ("gpl-3.0", "cc-by-nc-4.0", True, None),
        ("gpl-3.0", "cc-by-sa-4.0", True, None),
        ("cc-by-sa-4.0", "llama3", True, None),
        ("gpl-3.0", "other", False, None),
        (None, None, False, None),
        ("my-own", "my-own", False, None),
    ],
)
def test_what_clashes(teacher: str | None, dataset: str | None, clash: bool, both: str | None) -> None:
    found = [licence("teacher a/b", teacher), licence("dataset c/d", dataset)]
    assert bool(warnings(found)) is clash
    assert common(found) == both
    assert section(found).count("Warning") == clash


def test_what_is_not_in_the_table_is_called_unknown() -> None:
    assert (licence("x", "my-own").spdx, licence("x", "my-own").family) == ("my-own", "unknown")
    assert licence("x", "").spdx is None
    assert warnings([licence("x", "cc-by-nc-nd-4.0")])
    assert section([]) == ""


def test_the_card_names_licences_and_their_clash(world: World, client: TestClient, hub: Hub) -> None:
    hub.licences = {"google/teacher": "gpl-3.0", "somebody/birds": "cc-by-nc-4.0"}
    source = {"huggingface": {"repo_id": "google/teacher", "revision": REVISION}}
    (path := world.folder / "teacher").write_bytes(b"weights")
    kept = world.objects.put("teachers/licensed", path)
    facts = {"object_key": kept.key, "sha256": kept.sha256, "size_bytes": kept.size_bytes}
    job = world.student(teacher_id=world.driver.teacher(source=source, **facts))
    with world.database.write() as session:
        dataset = session.get_one(Dataset, session.get_one(Job, job).dataset_id)
        dataset.files = {"train": facts | {"url": f"hf://datasets/somebody/birds@{REVISION}/train.parquet"}}
        assert session.get_one(Teacher, session.get_one(Job, job).teacher_id).source == source
    made = ask(client, job, "huggingface", repository="me/licensed", secret="hub")
    assert world.run(made) == "succeeded", client.get(f"{made['links']['job']}/attempts").json()["items"][-1]["error"]
    receipt = look(client, made)["receipt"]
    assert [each["spdx"] for each in receipt["licences"]] == ["GPL-3.0", "CC-BY-NC-4.0"]
    assert len(receipt["warnings"]) == 1
    card = hub.repositories["me/licensed"].files()["README.md"].decode()
    assert "| dataset somebody/birds | CC-BY-NC-4.0 | non-commercial |" in card
    assert receipt["warnings"][0] in card
    assert "license:" not in card.split("---")[1]
