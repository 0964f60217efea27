"""A dataset of several files of this machine: how they are named, and that they come as one list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client import naming, uploads
from client.api import Retort
from client.errors import NotThere
from tests.client.conftest import Command
from tests.data.shard_files import write_shards


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "s", 3, 2, name="p-{:03}.tar")


def test_braces_and_stars_name_files_in_order(shards: Path) -> None:
    wanted = [shards / f"p-{number:03}.tar" for number in range(3)]
    assert naming.files_of(shards / "p-{000..002}.tar") == wanted
    assert naming.files_of(f"{shards}/p-*.tar") == wanted
    assert naming.files_of([wanted[2], f"{shards}/p-{{000..001}}.tar"]) == [wanted[2], *wanted[:2]]
    assert naming.files_of(wanted[0]) == naming.files_of([wanted[0]]) == wanted[0]
    assert naming.files_of(f"{shards}/p-*2.tar") == wanted[2:]  # a pattern is a list, whatever it finds
    refused = ("p-{000..003}.tar", "p-{2..1}.tar", "p-{0000..9999}.tar", "q-*.tar")
    for given in ([f"{shards}/{name}"] for name in refused):
        with pytest.raises(NotThere):
            naming.files_of(given)
    with pytest.raises(NotThere):
        naming.files_of([wanted[0], f"{shards}/p-*.tar"])


@pytest.mark.usefixtures("inspector")
@pytest.mark.parametrize("large", [True, False])
def test_they_are_sent_one_after_the_other_or_in_one_form_and_are_lists(
    retort: Retort, command: Command, shards: Path, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LARGE_BYTES", 0 if large else uploads.LARGE_BYTES)
    code, said = command(
        "--json", "datasets", "add", "--train", shards / "p-{000..001}.tar", "--test", shards / "p-002.tar"
    )
    assert code == 0, said
    found = json.loads(said[said.index("{\n") :])
    assert found["kind"] == "shards"
    names = {name: file["filename"] for name, file in found["files"].items()}
    assert names == {"train/0000": "p-000.tar", "train/0001": "p-001.tar", "test/0000": "p-002.tar"}
    whole = retort.add_dataset([shards / "p-001.tar", shards / "p-000.tar"])
    assert [whole["files"][f"all/{number:04}"]["filename"] for number in range(2)] == ["p-001.tar", "p-000.tar"]
    assert len(list(retort.get("/uploads")["items"])) == (5 if large else 0)
    assert set(retort.add_dataset(f"{shards}/p-*2.tar")["files"]) == {"all/0000"}
    names = ["cat", "dog", "bird"] * (2000 if large else 1)
    told = retort.add_dataset(
        [shards / "p-001.tar", shards / "p-002.tar"], classes=[f"{n}{i}" for i, n in enumerate(names)]
    )
    assert told["shards"]["classes"][:3] == ["cat0", "dog1", "bird2"]
    (shards / "names").write_text("cat\ndog\nbird\n")
    code, said = command("--json", "datasets", "add", shards / "p-000.tar", "--classes", shards / "names")
    assert (code, json.loads(said[said.index("{\n") :])["shards"]["classes"]) == (0, ["cat", "dog", "bird"])
    assert command("datasets", "add", "--named", "digits", "--classes", shards / "names")[0] != 0
    assert command("datasets", "add", "--train", shards / "p-{000..009}.tar")[0] == 1
    assert command("datasets", "add", shards / "none.tar")[0] == 1
