"""What docs/deploy.md and the heads of the compose files tell one to type works, and still does in another shell."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = [*ROOT.glob("docker-compose*.yml"), *ROOT.glob("deploy/*.yml")]
SAID = [ROOT / "docs" / "deploy.md", ROOT / "README.md", ROOT / "deploy" / "env.example", *COMPOSE]
#: Files that a service can begin with; the others only add to one.
WHOLE = {"docker-compose.yml", "deploy/worker.yml"}


@pytest.mark.parametrize("path", SAID, ids=lambda path: path.name)
def test_no_command_means_another_service_than_the_next(path: Path) -> None:
    """`-f`, `--env-file` and variables of one shell are forgotten by the next command, such as that of an upgrade."""
    text = path.read_text()
    commands = re.findall(r"^.*docker compose .*$", text, re.MULTILINE)
    assert [line for line in commands if re.search(r" (-f|--file|--env-file) |[A-Z]=\S* docker compose", line)] == []
    exported = (
        set(re.findall(r"export (RETORT_\w+)", text)) if path.name != "README.md" else set()
    )  # there without compose
    assert exported <= {"RETORT_URL"}, "settings of the service belong into .env"


@pytest.mark.parametrize("path", SAID, ids=lambda path: path.name)
def test_compose_file_names_files_that_fit_together(path: Path) -> None:
    for value in re.findall(r"COMPOSE_FILE=([\w./:-]*\w)", path.read_text()):
        first, *others = value.split(":")
        assert first in WHOLE, value
        assert set(others).isdisjoint(WHOLE), value
        assert all((ROOT / name).is_file() for name in (first, *others)), value


def test_every_compose_file_is_on_the_page() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    for path in COMPOSE:
        name = path.relative_to(ROOT).as_posix()
        assert re.search(rf"COMPOSE_FILE=\S*{re.escape(name)}", page), name


@pytest.mark.parametrize("said", ["cp -L /etc/letsencrypt/live/retort.example.com/", 'cp -L "$RENEWED_LINEAGE"/'])
def test_certificates_are_copied_out_of_certbots_links(said: str, tmp_path: Path) -> None:
    """Its `live` holds links to `../../archive`, of which the container that mounts `live` sees nothing."""
    live, archive = tmp_path / "live" / "retort.example.com", tmp_path / "archive" / "retort.example.com"
    live.mkdir(parents=True)
    archive.mkdir(parents=True)
    for name in ("cert", "chain", "fullchain", "privkey"):
        (archive / f"{name}1.pem").write_text(name)
        (live / f"{name}.pem").symlink_to(f"../../archive/retort.example.com/{name}1.pem")
    (archive / "privkey1.pem").chmod(0o600)
    target = tmp_path / "certificates"
    target.mkdir()
    page = (ROOT / "docs" / "deploy.md").read_text()
    (command,) = (line for line in page.splitlines() if said in line)
    command = command.replace("/etc/letsencrypt", str(tmp_path)).replace("/etc/retort/certificates", str(target))
    subprocess.run(["sh", "-ec", command], check=True, env={"PATH": os.environ["PATH"], "RENEWED_LINEAGE": str(live)})
    assert (target / "fullchain.pem").read_text() == "fullchain"
    assert not any(path.is_symlink() for path in target.iterdir())
    assert (target / "privkey.pem").stat().st_mode & 0o077 == 0


def test_what_is_mounted_is_that_folder() -> None:
    page, file = ((ROOT / name).read_text() for name in ("docs/deploy.md", "deploy/tls.yml"))
    assert set(re.findall(r"RETORT_CERTIFICATES=(\S+)", page + file)) == {"/etc/retort/certificates"}
    assert ":/certificates:ro" in file
