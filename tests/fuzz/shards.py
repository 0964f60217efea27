"""`python tests/fuzz/shards.py -max_total_time=60`: zip, tar and tar.gz of shards, their index and their merge."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path

from harness import fuzz, on_disk
from safetensors_header import SEEDS

from worker.converter import ConverterLimits
from worker.converter.shard_index import parse_index
from worker.converter.shards import convert_shards

LIMITS = ConverterLimits(members=1000, index_bytes=2**16, output_bytes=2**20)
INDEX = json.dumps({"metadata": {"total_size": 24}, "weight_map": {"a": "m.safetensors"}}).encode()
FILES = {"m.safetensors": SEEDS[0], "m.safetensors.index.json": INDEX}


def read(path: Path) -> object:
    data = path.read_bytes()
    if data.startswith(b"{"):
        return parse_index(data, LIMITS)
    return convert_shards(path, path.with_name("out"), LIMITS)


def seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        found = [INDEX]
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(path, "w", method) as archive:
                for name, data in FILES.items():
                    archive.writestr(name, data)
            found.append(path.read_bytes())
        for mode in ("w", "w:gz"):
            with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
                for name, data in FILES.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
            found.append(path.read_bytes())
    return found


if __name__ == "__main__":
    fuzz(on_disk(read), seeds())
