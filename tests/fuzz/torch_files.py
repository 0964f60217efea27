"""`python tests/fuzz/torch_files.py -max_total_time=60`: both containers of torch.save and the pickle machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import fuzz, on_disk

from tests.converter.pickles import dump, legacy_file, tensor, zip_file
from worker.converter import ConverterLimits
from worker.converter.state_dict import find
from worker.converter.torch_file import scan_legacy, scan_zip

LIMITS = ConverterLimits(operations=100_000, memo=10_000, members=1000, pickle_bytes=2**20)
DATA = bytes(range(16))


def read(path: Path) -> object:
    data = path.read_bytes()
    value = scan_zip(path, LIMITS) if data.startswith(b"PK") else scan_legacy(path, LIMITS)
    return find(value, LIMITS, len(data))


def seeds() -> list[bytes]:
    values = [{"w": tensor()}, {"model": {"module.w": tensor(shape=(2, 2), stride=(1, 2))}, "epoch": 3, "lr": [0.1]}]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        return [
            make(path, dump(value), {"0": DATA}).read_bytes() for make in (zip_file, legacy_file) for value in values
        ]


if __name__ == "__main__":
    fuzz(on_disk(read), seeds())
