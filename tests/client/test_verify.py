"""A signed manifest: made by the service's key, checked offline, and every way in which files may not be its own."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from pathlib import Path
from shutil import which

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from client.cli import program
from client.errors import Corrupt
from client.verifying import MANIFEST, SIGNATURE, check_signature, verify
from store.minisign import SigningKey
from tests.api.checks import problem
from tests.api.conftest import *  # noqa: F403 - the service of the API's tests
from tests.api.driver import Driver

SEED = bytes(range(32))


@pytest.fixture
def folder(client: TestClient, driver: Driver, tmp_path: Path) -> Path:
    """A finished job's files, as `retort download` leaves them."""
    job = driver.job()
    driver.succeed(job)
    place = tmp_path / "files"
    place.mkdir()
    for item in client.get(f"/jobs/{job}/artifacts").json()["items"]:
        (place / item["name"]).write_bytes(client.get(item["href"]).content)
    (place / MANIFEST).write_bytes(client.get(f"/jobs/{job}/manifest").content)
    (place / SIGNATURE).write_text(client.get(f"/jobs/{job}/manifest/signature").text)
    (tmp_path / "retort.pub").write_text(client.get("/signing-key").text)
    return place


def public(folder: Path) -> str:
    return (folder.parent / "retort.pub").read_text()


def test_what_the_service_made_is_good(folder: Path) -> None:
    found = verify(folder, public(folder))
    assert set(found.good) == {"report.json", "report.md", "student.safetensors"}
    assert not found.wrong + found.missing + found.beside
    assert verify(folder / "report.md", public(folder)).good == ("report.md",)


def test_a_manifest_says_what_a_job_was_made_of(client: TestClient, driver: Driver) -> None:
    job = driver.job(teacher_id=driver.teacher())
    problem(client.get(f"/jobs/{job}/manifest"), 409, "job_not_succeeded")
    driver.succeed(job)
    first, again = (client.get(f"/jobs/{job}/manifest").content for _ in range(2))
    assert first == again
    told = json.loads(first)
    assert told["job"] == job
    assert [each["sha256"] for each in told["teachers"]] == ["0" * 64]
    listed = {each["name"]: each["sha256"] for each in client.get(f"/jobs/{job}/artifacts").json()["items"]}
    assert {each["name"]: each["sha256"] for each in told["files"]} == listed


@pytest.mark.parametrize("what", ["file", "manifest", "comment", "key", "signature", "swapped"])
def test_what_is_not_is_named(what: str, folder: Path) -> None:
    key = public(folder)
    if what == "file":
        (folder / "report.md").write_bytes(b"# Better\n")
        assert verify(folder, key).wrong == ("report.md",)
        return
    if what == "manifest":
        (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace("0", "1", 1))
    if what == "comment":
        (folder / SIGNATURE).write_text((folder / SIGNATURE).read_text().replace("manifest of", "manifest for"))
    if what == "key":
        key = SigningKey(SEED).public()
    if what == "signature":
        (folder / SIGNATURE).write_text("untrusted comment: none\n")
    if what == "swapped":
        (folder / SIGNATURE).write_text(SigningKey(SEED).sign((folder / MANIFEST).read_bytes(), "mine"))
    with pytest.raises(Corrupt):
        verify(folder, key)


def test_missing_and_further_files_are_told(folder: Path) -> None:
    (folder / "student.safetensors").unlink()
    (folder / "note.txt").write_text("mine")
    found = verify(folder, public(folder))
    assert (found.missing, found.beside) == (("student.safetensors",), ("note.txt",))


@pytest.mark.parametrize("broken", [False, True])
def test_the_command_ends_by_what_it_found(broken: bool, folder: Path) -> None:
    if broken:
        (folder / "report.md").write_bytes(b"# Better\n")
    done = CliRunner().invoke(program, ["verify", str(folder), "--key", str(folder.parent / "retort.pub")])
    assert isinstance(done.exception, Corrupt) is broken
    assert "good     student.safetensors" in done.output


def test_a_key_is_made_once_and_read_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "data" / "signing.key"
    first = SigningKey.at(path)
    assert SigningKey.at(path).public() == first.public()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.write_text("short")
    with pytest.raises(ValueError, match="base64"):
        SigningKey.at(path)


def test_signatures_are_minisigns() -> None:
    """Lengths and order of https://jedisct1.github.io/minisign/#signature-format."""
    key = SigningKey(SEED)
    lines = key.sign(b"content", "told").splitlines()
    assert [line.partition(": ")[0] for line in lines[::2]] == ["untrusted comment", "trusted comment"]
    told, both = (base64.b64decode(lines[number]) for number in (1, 3))
    assert (told[:2], told[2:10], len(told), len(both)) == (b"ED", key.id, 74, 64)
    shown = base64.b64decode(key.public().splitlines()[1])
    assert (shown[:2], shown[2:10], len(shown)) == (b"Ed", key.id, 42)
    assert check_signature(b"content", "\n".join(lines), key.public()) == "told"


@pytest.mark.skipif(which("minisign") is None, reason="needs minisign")
@pytest.mark.parametrize("changed", [False, True])
def test_minisign_itself_agrees(changed: bool, tmp_path: Path) -> None:
    key, content = SigningKey(SEED), tmp_path / MANIFEST
    content.write_bytes(b"content")
    (tmp_path / SIGNATURE).write_text(key.sign(b"content", "told"))
    (tmp_path / "retort.pub").write_text(key.public())
    if changed:
        content.write_bytes(b"Content")
    command = ["minisign", "-V", "-m", content, "-p", tmp_path / "retort.pub"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is not changed, done.stderr
    assert changed or "told" in done.stdout
