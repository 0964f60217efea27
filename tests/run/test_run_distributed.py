"""A whole run in two processes: one of them writes, and the student is that of one process, within rounding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from distill.types import TeacherInput
from tests.run.conftest import go, spec
from tests.training.test_distributed import run_two

SCRIPT = """
import sys
from pathlib import Path
import torch
from distill import offload
from distill.control import Control
from distill.run import run
from distill.training import distributed
from distill.types import RunSpec
torch.set_num_threads(1)
asked = []
def none_free(device):
    asked.append(device)
    return 0
with distributed.group() as rank, offload.offloading(asked=False, room=none_free):
    spec = RunSpec.model_validate_json(Path(sys.argv[1]).read_text())
    kinds = [event.kind for event in run(spec, Path(sys.argv[2]), Control())]
    assert (kinds[-1] == "done") == (rank == 0), kinds[-1]
    assert ("artifact" in kinds) == (rank == 0)
    assert bool(asked) == (spec.sharding == "full")  # whole networks run block by block before and after the training
"""


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_two_processes_run_one_job(tmp_path: Path, teacher: TeacherInput, sharding: str) -> None:
    given = spec(teacher, batch_size=32)
    go(given, tmp_path / "one")
    (tmp_path / "spec.json").write_text(given.model_copy(update={"sharding": sharding}).model_dump_json())
    run_two(SCRIPT, [str(tmp_path / "spec.json"), str(tmp_path / "two")], 200)
    one, two = (load_file(tmp_path / name / "artifacts" / "student.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=2e-2, atol=5e-3)
    reports = [json.loads((tmp_path / name / "artifacts" / "report.json").read_text()) for name in ("one", "two")]
    assert reports[0]["digests"]["q_curve"] == reports[1]["digests"]["q_curve"]
    assert reports[0]["training"]["steps"] == reports[1]["training"]["steps"]
