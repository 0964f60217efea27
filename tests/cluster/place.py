"""`python -m tests.cluster.place ... FOLDER`, in place of a host's launcher: leaves there which GPUs it sees."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    (Path(sys.argv[-1]) / "seen").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
