"""The byte budget holds as measured peak of a process of its own (resident set, kernel's high-water mark)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")


def measured(*options: str) -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.quality.memory", *options]
    root = Path(__file__).parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=True)
    result: dict[str, int] = json.loads(done.stdout)
    return result


def test_a_resnet18_stays_within_its_budget_unpooled():
    result = measured("--network", "resnet18", "--side", "112", "--samples", "60", "--memory-mib", "128")
    assert result["peak_bytes"] <= result["budget_bytes"]
    assert result["pooled"] == 0
    assert result["layers"] == 10


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "memory_mib", "passes"), [("100", "256", "4"), ("60", "1024", "8")])
def test_a_resnet50_at_224_pixels_stays_within_its_budget(samples, memory_mib, passes):
    result = measured("--samples", samples, "--memory-mib", memory_mib, "--max-passes", passes)
    assert result["peak_bytes"] <= result["budget_bytes"]
    assert result["layers"] == 18
    assert result["passes"] <= int(passes)
