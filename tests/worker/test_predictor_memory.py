"""A predictor may have so much memory of its own and no more, and says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GIB = 2**30
SHUT_IN = """
import sys
from dataclasses import replace
from pathlib import Path

from worker.isolation.confinement import confine, of_job
from worker.predicting.predictor import explained

held = confine(replace(of_job(Path(sys.argv[1]), ("work",)), devices=(), memory_bytes=int(sys.argv[2])))
print("DATA" in held.rlimits)
import torch

for take in (lambda: bytearray(3 * 2**30), lambda: torch.zeros(3, 2**30, dtype=torch.uint8), lambda: 1 / 0):
    try:
        print(len(take()))
    except Exception as error:
        print(explained(error).code)
print(int(torch.ones(2**20).sum()))
"""


def said(folder: Path, memory_bytes: int) -> list[str]:
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", SHUT_IN, str(folder), str(memory_bytes)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return told.stdout.split()


def test_what_takes_more_memory_than_a_predictor_may_have_is_refused_and_the_process_goes_on(tmp_path: Path) -> None:
    limited = said(tmp_path / "scratch" / "job" / "1", 2 * GIB)
    assert limited == ["True", "oom_host", "oom_host", "internal", "1048576"]
