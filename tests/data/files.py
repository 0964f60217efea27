"""Small real datasets on disk."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from distill.types import DatasetInput


def image_bytes(seed: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB", form: str = "PNG") -> bytes:
    """An encoded noise image of (height, width)."""
    shape = size if mode in ("L", "I;16") else (*size, len(mode))
    values = np.random.default_rng(seed).integers(0, 256, shape)
    array = (values * 257).astype(np.uint16) if mode == "I;16" else values.astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(array).save(out, form)
    return out.getvalue()


def tree(classes: int = 2, per_class: int = 3, split: str = "", size: tuple[int, int] = (8, 8)) -> dict[str, bytes]:
    """Path -> bytes of an ImageFolder, below `split` where given."""
    prefix = f"{split}/" if split else ""
    return {
        f"{prefix}class{c}/{i}.png": image_bytes(hash_of(split) + 100 * c + i, size)
        for c in range(classes)
        for i in range(per_class)
    }


def hash_of(text: str) -> int:
    return sum(text.encode()) * 1000


def write_zip(path: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
    return path


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_parquet(
    path: Path,
    images: list[bytes | None],
    labels: list[object],
    names: list[str] | None = None,
    column: str = "image",
    plain: bool = False,
) -> Path:
    image = (
        pa.array(images, pa.binary())
        if plain
        else pa.array(
            [{"bytes": data, "path": None} for data in images],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        )
    )
    table = pa.table({column: image, "label": labels})
    if names is not None:
        features = {column: {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return path


def archive(path: Path, name: str = "set") -> DatasetInput:
    return DatasetInput(kind="archive", name=name, files={"all": str(path)})
