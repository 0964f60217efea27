"""scripts/environment and scripts/dashboard: what they install in which order, and what they say when npm fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from tests.slowness import within

ROOT = Path(__file__).resolve().parents[2]
#: Writes down how it was called; fails where the call holds the word FAILS.
PROGRAM = """#!/usr/bin/env bash
echo "{name} $*" >> "$CALLS"
[[ "$*" != *"config list"* ]] || echo "$PIP_CONFIGURED"
[ -z "$FAILS" ] || [[ "$*" != *"$FAILS"* ]] || exit 1
"""


class Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scripts", "bin", "web", "venv/bin"):
            (folder / name).mkdir(parents=True)
        for script in ("environment", "dashboard"):
            shutil.copy(ROOT / "scripts" / script, folder / "scripts")
        self.program("venv/bin/python", PROGRAM.format(name="python"))

    def program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def run(self, *command: str, **variables: str) -> tuple[int, str]:
        path = f"{self.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
        mine = {"PATH": path, "CALLS": str(self.folder / "calls"), "FAILS": "", "PIP_CONFIGURED": "", "TORCH": ""}
        done = subprocess.run(
            command, cwd=self.folder, env=mine | {"UV": "no-such-uv"} | variables, capture_output=True, text=True,
            check=False, timeout=within(60),
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    @property
    def installed(self) -> list[str]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if "pip install" in line]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ("kind", "lists"), [("run", "-rconstraints.txt"), ("dev", "-rconstraints.txt -rconstraints-dev.txt")]
)
def test_torch_comes_first_and_the_list_is_installed_without_a_resolver(folder: Folder, kind: str, lists: str) -> None:
    assert folder.run("scripts/environment", "venv", kind)[0] == 0
    assert folder.installed == [
        "python -m pip install -q --no-compile -c constraints.txt torch==2.13.0",
        f"python -m pip install -q --no-compile --no-deps torchvision==0.28.0 {lists} -e .",
    ]


def test_another_build_of_torch(folder: Folder) -> None:
    assert folder.run("scripts/environment", "venv", "run", TORCH="torch", TORCHVISION="torchvision")[0] == 0
    assert folder.installed[0].endswith(" torch")
    assert " torchvision -r" in folder.installed[1]


def test_where_the_list_does_not_fit_it_is_resolved_and_said(folder: Folder) -> None:
    code, said = folder.run("scripts/environment", "venv", "run", FAILS="pip check")
    assert (code, "do not fit this Python" in said) == (0, True)
    assert "-cconstraints.txt torchvision==0.28.0 -e .[api,worker,otel]" in folder.installed[-1]


def test_uv_installs_where_it_is_there(folder: Folder) -> None:
    folder.program("bin/fast", PROGRAM.format(name="uv"))
    assert folder.run("scripts/environment", "venv", "run", UV="fast")[0] == 0
    assert [line.split()[0] for line in folder.installed] == ["uv", "uv"]
    assert "--python venv/bin/python --no-deps" in folder.installed[1]


@pytest.mark.parametrize(
    ("variables", "by"),
    [
        ({"PIP_CONFIGURED": "global.find-links='/wheels'"}, ["python", "python"]),
        ({"FAILS": "--quiet"}, ["uv", "python"] * 2),
    ],
    ids=["pip is told where", "uv fails"],
)  # fmt: skip
def test_pip_installs_where_uv_cannot(folder: Folder, variables: dict[str, str], by: list[str]) -> None:
    folder.program("bin/fast", PROGRAM.format(name="uv"))
    assert folder.run("scripts/environment", "venv", "run", UV="fast", **variables)[0] == 0
    assert [line.split()[0] for line in folder.installed] == by


def test_where_python_writes_no_bytecode_what_is_imported_is_compiled_once(folder: Folder) -> None:
    code, said = folder.run("scripts/environment", "venv", "run", PYTHONDONTWRITEBYTECODE="1")
    calls = (folder.folder / "calls").read_text().splitlines()
    assert code == 0
    assert calls[-1].startswith("python -m worker.inspecting.inspector catalogue ")
    modules = calls[-2].removeprefix("python -c import ").split(", ")
    assert all(find_spec(name) for name in modules)
    assert "could not be compiled" in said  # this python only pretends: it wrote no answer


def test_what_cannot_be_installed_fails(folder: Folder) -> None:
    assert folder.run("scripts/environment", "venv", "run", FAILS="--no-deps")[0] != 0


NPM = f"""#!{sys.executable}
import os, subprocess, sys, time
from pathlib import Path
step = "ci" if sys.argv[1] == "ci" else "build"
if step == "build":
    Path("dist").mkdir()
    Path("dist/index.html").touch()
if os.environ["NPM"] == step + " hangs":
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)", os.getcwd(), "a child of npm"])
sys.exit(os.environ["NPM"] == step + " fails")
"""


@pytest.mark.parametrize("does", ["ci hangs", "ci fails", "build hangs", "build fails", "works"])
def test_a_dashboard_that_cannot_be_built_costs_nothing_else(folder: Folder, does: str) -> None:
    folder.program("bin/npm", NPM)
    web = (folder.folder / "web").resolve()
    code, said = folder.run("scripts/dashboard", NPM=does, NPM_SECONDS="1" if "hangs" in does else "60")
    assert code == 0
    assert ("NOTE: no dashboard: " in said) == (does != "works")
    assert ("was not over after 1 s" in said) == ("hangs" in does)
    assert (folder.folder / "web/dist/index.html").exists() == (does == "works")
    assert not [each for each in psutil.process_iter() if {"a child of npm", str(web)} <= set(_words(each))]


def test_without_npm_there_is_no_dashboard(folder: Folder) -> None:
    (folder.folder / "bin/dirname").symlink_to(shutil.which("dirname") or "")
    code, said = folder.run(shutil.which("bash") or "", "scripts/dashboard", PATH=str(folder.folder / "bin"))
    assert code == 0
    assert "npm (Node 20) is not installed" in said


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
