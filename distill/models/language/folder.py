"""A Hugging Face model as untrusted files: a folder or a zip, of which only plain, known, bounded files are read."""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from distill.data.limits import Limits
from distill.errors import DISK_FULL, InvalidDataset, InvalidTeacher
from distill.modalities.images.archives.zip import ZipMembers
from distill.safetensors_header import Header, read_header

CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
TOKENIZER = frozenset(
    {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"}
    | {"vocab.json", "merges.txt", "chat_template.jinja"}
)
SMALL_BYTES, JSON_BYTES, SHARDS = 64 * 2**20, 4 * 2**20, 1_000
ZIP = Limits(members=10_000, file_bytes=64 * 2**30, total_bytes=128 * 2**30, ratio=20.0)
PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack"})
NAME_BYTES = 255
_DATE = (1980, 1, 1, 0, 0, 0)
REMEDY = (
    "Save the model with `model.save_pretrained(folder)` and its tokenizer likewise, and send the folder's "
    "config.json, *.safetensors and tokenizer files as one zip."
)


def refuse(what: str, **details: object) -> NoReturn:
    raise InvalidTeacher(f"The model folder was refused: {what}.", REMEDY, details)


@dataclass(frozen=True)
class Folder:
    """A checked folder. `shards`: the safetensors files with their validated headers; no tensor is in two of them."""

    path: Path
    shards: dict[str, Header]

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Tensor -> shape, over all shards."""
        return {name: info.shape for header in self.shards.values() for name, info in header.tensors.items()}

    @property
    def bytes(self) -> int:
        """Size of the weights on disk."""
        return sum((self.path / shard).stat().st_size for shard in self.shards)

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object of the folder; {} where the file is absent."""
        return read_json(self.path / name)


def open_folder(path: str | Path, scratch: Path, own: bool = False) -> Folder:
    """The folder at `path`, or the zip there unpacked below `scratch` (into it, where it is its `own`), with every
    safetensors header checked.

    Of a zip only what is needed is unpacked: its configuration, safetensors and tokenizer files, from its root or its
    only folder. Raises `InvalidTeacher`: for links, devices, climbing paths and decompression bombs, files over the
    caps, no config.json, pickles without safetensors, shards that contradict their index.
    """
    source = Path(path)
    root = source if source.is_dir() else _unpacked(source, scratch if own else _fresh(scratch, source.stem))
    for file in root.iterdir():
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            refuse(f"{file.name!a} is a link or a special file")
    if not (root / CONFIG).is_file():
        refuse("it has no config.json")
    return Folder(root, _shards(root))


def read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    if path.stat().st_size > JSON_BYTES:
        refuse(f"{path.name} has more than {JSON_BYTES:,} bytes")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        refuse(f"{path.name} is no JSON ({str(error)[:100]})")
    if not isinstance(value, dict):
        refuse(f"{path.name} is no JSON object")
    return value


def wanted(name: str) -> bool:
    """Whether a file of a model folder is read at all."""
    return name in TOKENIZER or name in {CONFIG, INDEX} or name.endswith(".safetensors")


def pack(folder: Folder, path: Path) -> None:
    """What is needed of a checked folder as one zip, the same bytes for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for file in sorted(folder.path.iterdir()):
            if file.is_file() and wanted(file.name):
                with file.open("rb") as source, archive.open(zipfile.ZipInfo(file.name, _DATE), "w") as target:
                    shutil.copyfileobj(source, target, 2**20)


def _fresh(scratch: Path, name: str) -> Path:
    folder = scratch / f"{name}-unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _unpacked(source: Path, folder: Path) -> Path:
    members = _members(source)
    root = min((parts[:-1] for parts in members if parts[-1] == CONFIG), key=len, default=None)
    if root is None:
        refuse("it has no config.json")
    try:
        with zipfile.ZipFile(source) as archive:
            for parts, name in members.items():
                if parts[:-1] == root and wanted(parts[-1]):
                    _copy(archive, name, folder / parts[-1])
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        refuse(f"the zip is damaged ({str(error)[:100]})")
    if not any(file.suffix == ".safetensors" for file in folder.iterdir()):
        _refuse_pickles([parts[-1] for parts in members if parts[:-1] == root])
    return folder


def _members(source: Path) -> dict[tuple[str, ...], str]:
    """Path below the archive's root -> member name."""
    try:
        admitted = ZipMembers(source, ZIP)
    except InvalidDataset as error:  # the member loop is shared with datasets; the fault here is the teacher's
        raise InvalidTeacher(error.message, REMEDY, error.details) from error
    return {file.parts: admitted.name(file.position) for file in admitted.files}


def _copy(archive: zipfile.ZipFile, name: str, target: Path) -> None:
    size = archive.getinfo(name).file_size
    if target.suffix != ".safetensors" and size > SMALL_BYTES:
        refuse(f"{target.name} has {size:,} bytes, more than {SMALL_BYTES:,}")
    with archive.open(name) as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file, 2**20)


def _refuse_pickles(names: list[str]) -> NoReturn:
    pickles = [name for name in names if PurePosixPath(name).suffix in PICKLES]
    if pickles:
        refuse(f"its weights are {pickles[0]!a}; only safetensors are read", files=pickles[:10])
    refuse("it has no *.safetensors file")


def _shards(root: Path) -> dict[str, Header]:
    index = read_json(root / INDEX).get("weight_map")
    names = _indexed(root, index) if index is not None else _alone(root)
    shards = {name: read_header(root / name) for name in names}
    seen: dict[str, str] = {}
    for shard, header in shards.items():
        for tensor in header.tensors:
            if tensor in seen:
                refuse(f"tensor {tensor!a} is in {seen[tensor]} and in {shard}")
            seen[tensor] = shard
    if index is not None and seen != index:
        odd = sorted(set(seen.items()) ^ set(index.items()))[:3]
        refuse(f"the shards do not hold what their index says ({odd[0][0]!a})", tensors=[name for name, _ in odd])
    return shards


def _indexed(root: Path, index: Any) -> list[str]:
    if not isinstance(index, dict) or not all(isinstance(name, str) for name in index.values()):
        refuse(f"{INDEX} has no weight_map from tensors to files")
    names = sorted(set(index.values()))
    if not 1 <= len(names) <= SHARDS:
        refuse(f"{INDEX} names {len(names)} files")
    for name in names:
        if (
            Path(name).name != name
            or not name.endswith(".safetensors")
            or len(name.encode(errors="replace")) > NAME_BYTES
        ):
            refuse(f"{INDEX} names {name[:200]!a}, which is no safetensors file beside it")
        if not (root / name).is_file():
            refuse(f"{name!a}, which the index names, is not there", file=name)
    return names


def _alone(root: Path) -> list[str]:
    names = sorted(file.name for file in root.iterdir() if file.suffix == ".safetensors")
    if not names:
        _refuse_pickles([file.name for file in root.iterdir()])
    if WEIGHTS in names:
        return [WEIGHTS]
    if len(names) > 1:
        refuse(f"it has {len(names)} safetensors files and no {INDEX}", files=names[:10])
    return names
