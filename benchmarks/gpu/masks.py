"""What a slot's trainer sees of the machine's devices: python -m benchmarks.gpu.masks --json FILE.

Each entry that the worker would give a slot (a UUID, of a divided GPU one of its instances) must give a process exactly
one device, and a mask that hides all must give none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from worker.processes.gpus import of_slot, visible

COUNT = (
    "import torch; print(torch.cuda.device_count(), torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    devices = visible()
    masks = [*(of_slot(slot, devices) for slot in range(len(devices))), {"CUDA_VISIBLE_DEVICES": "-1"}]
    found = [mask | {"sees": seen(mask)} for mask in masks]
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found))


def seen(mask: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COUNT], env=os.environ | mask, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip()[-200:]


if __name__ == "__main__":
    main()
