"""What a process that has shut itself in can still do: read its own folder, and little else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slowness import within

ATTEMPTS = {
    "reads its folder": "open(folder + '/given').read()",
    "writes its folder": "open(folder + '/made', 'w').write('x')",
    "renames there": "os.rename(folder + '/given', folder + '/other')",
    "computes": "__import__('numpy').ones(3).sum()",
    "reads the machine": "open('/etc/hostname').read()",
    "reads another folder": "open(secret).read()",
    "reads another process": "open('/proc/1/environ', 'rb').read()",
    "writes elsewhere": "open(secret, 'w').write('x')",
    "opens a socket": "__import__('socket').socket()",
    "starts a program": "os.execv('/bin/true', ['true'])",
    "forks": "os.fork()",
    "signals its parent": "os.kill(os.getppid(), 15)",
}
MAY = ("reads its folder", "writes its folder", "renames there", "computes")
PROGRAM = """
import os, sys
from worker.isolation.inside import shut_in
folder, secret, code = sys.argv[1:]
print(shut_in([], [folder]).to_json(), flush=True)
eval(code)
"""


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_process_that_has_shut_itself_in(tmp_path: Path, attempt: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "given").write_text("x")
    (tmp_path / "secret").write_text("x")
    command = [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "secret"), ATTEMPTS[attempt]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=within(60), check=False)
    got = json.loads(ended.stdout.splitlines()[0])
    if not got["landlock"] or not got["seccomp"]:
        pytest.skip(f"this kernel refuses a layer: {got['problems']}")
    assert (ended.returncode == 0) == (attempt in MAY), ended.stderr
    if attempt not in MAY:
        assert "PermissionError" in ended.stderr, ended.stderr
    assert (tmp_path / "secret").read_text() == "x"
