"""A whole run in two processes: one of them writes, and the student is that of one process, within rounding."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from distill.types import TeacherInput
from tests.run.conftest import go, spec
from tests.slowness import within

SCRIPT = """
import sys
from pathlib import Path
import torch
from distill.control import Control
from distill.run import run
from distill.training import distributed
from distill.types import RunSpec
torch.set_num_threads(1)
with distributed.group() as rank:
    spec = RunSpec.model_validate_json(Path(sys.argv[1]).read_text())
    kinds = [event.kind for event in run(spec, Path(sys.argv[2]), Control())]
    assert (kinds[-1] == "done") == (rank == 0), kinds[-1]
    assert ("artifact" in kinds) == (rank == 0)
"""


def test_two_processes_run_one_job(tmp_path: Path, teacher: TeacherInput) -> None:
    given = spec(teacher, batch_size=32)
    go(given, tmp_path / "one")
    (tmp_path / "spec.json").write_text(given.model_dump_json())
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    shared = os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path / "spec.json"), str(tmp_path / "two")]
    processes = [
        subprocess.Popen(arguments, env=shared | {"RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=within(200))
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
    one, two = (load_file(tmp_path / name / "artifacts" / "student.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=2e-2, atol=5e-3)
    reports = [json.loads((tmp_path / name / "artifacts" / "report.json").read_text()) for name in ("one", "two")]
    assert reports[0]["digests"]["q_curve"] == reports[1]["digests"]["q_curve"]
    assert reports[0]["training"]["steps"] == reports[1]["training"]["steps"]
