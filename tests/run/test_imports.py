"""What a process of a run loads before it knows what it will need."""

from __future__ import annotations

import subprocess
import sys


def test_a_run_loads_no_compiler_and_no_library_that_some_runs_need() -> None:
    """torch's compiler is as large as the rest of torch; an optimiser loads it, what only looks or asks does not."""
    late = ("torch._dynamo", "scipy", "sklearn", "timm", "transformers", "torchvision", "matplotlib", "pyarrow")
    code = f"import sys, distill.run; print([name for name in {late!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
