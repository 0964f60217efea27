"""Two trainers on one device: python -m benchmarks.gpu.slots --json FILE [--device cpu].

Images/s of the student alone (`benchmarks.train`): by one process, and by two that share the device.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--width", default="64")
    parser.add_argument("--steps", default="200")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    (one,), two = together(1, given), together(2, given)
    found = {"one": one, "two": two, "two / one": sum(two) / one}
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found))


def together(count: int, given: argparse.Namespace) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{i}.json") for i in range(count)]
        running = [subprocess.Popen(_command(file, given), stdout=subprocess.DEVNULL) for file in files]
        for each in running:
            if each.wait() != 0:
                raise SystemExit(f"A trainer ended with status {each.returncode}.")
        return [float(_read(file)["images_per_second"]["alone"]) for file in files]


def _command(file: Path, given: argparse.Namespace) -> list[str]:
    options = ["--device", given.device, "--width", given.width, "--steps", given.steps, "--alone", "--json", str(file)]
    return [sys.executable, "-m", "benchmarks.train", *options]


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


if __name__ == "__main__":
    main()
