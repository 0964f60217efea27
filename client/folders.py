"""Folders on this machine as the files that the service takes: a Hugging Face model, parts of a dataset, images."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from client.errors import NotThere, Unusable
from client.packing import is_images, packed

CONFIG, INDEX = "config.json", ".safetensors.index.json"
LANGUAGE = "transformers:auto"
TOKENIZER = frozenset(
    {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"}
    | {"vocab.json", "merges.txt", "chat_template.jinja"}
)
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".ndjson.gz")
ARRAYS = (".json", ".json.gz")
JSON_BYTES, HEAD_BYTES, HEADER_BYTES = 4 * 2**20, 1024, 32 * 2**20


def teacher_files(path: Path) -> list[Path]:
    """The file itself, or what the service reads of a model's folder: weights with their index, and of a language model
    its configuration and tokenizer. Raises `NotThere` for a folder without weights."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file())
    weights = [file for file in files if file.name.endswith((".safetensors", INDEX))]
    if not weights:
        raise NotThere(f"{path} holds no .safetensors file.", "Save the model with save_pretrained, or name a file.")
    about = [file for file in files if file.name == CONFIG or file.name in TOKENIZER]
    return weights + (about if _is_language(path / CONFIG) else [])


def suggested_architecture(path: Path) -> str | None:
    """`transformers:auto` for a folder or zip of a language model; what a file of weights says itself, as a student
    does; None where nothing tells. Raises `Unusable` for a zip that cannot be read."""
    if path.is_dir():
        weights = sorted(path.glob("*.safetensors"))
        return LANGUAGE if _is_language(path / CONFIG) else recorded(weights[0]) if len(weights) == 1 else None
    if path.suffix == ".safetensors":
        return recorded(path)
    if not zipfile.is_zipfile(path) or path.suffix != ".zip":
        return None
    try:
        return LANGUAGE if any(map(_says_language, _configs(path))) else None
    except OSError:
        raise
    except Exception as error:  # zipfile raises nearly anything: RuntimeError for a password
        remedy = "Zip the folder again, without a password, stored or deflated; or give the folder itself."
        raise Unusable(f"{path} cannot be read: {error}.", remedy) from error


def recorded(path: Path) -> str | None:
    """The architecture in the header of a safetensors file, by its name: the service reads its options there. A header
    is 8 bytes of its length, little-endian, and JSON. None for a file without, and for one that is none."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        content = file.read(size) if size <= HEADER_BYTES else b""
    try:
        name = json.loads(json.loads(content)["__metadata__"]["architecture"])["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def _configs(path: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if Path(item.filename).name == CONFIG and item.file_size <= JSON_BYTES:
                yield archive.read(item)


def _is_language(config: Path) -> bool:
    return config.is_file() and config.stat().st_size <= JSON_BYTES and _says_language(config.read_bytes())


def _says_language(config: bytes) -> bool:
    """transformers writes `model_type`; timm's config.json on the hub has none."""
    try:
        found = json.loads(config)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "model_type" in found


def called(path: Path) -> str:
    """A name for what comes as a folder; a file's own is the service's choice."""
    return path.resolve().name if path.is_dir() else ""


@contextmanager
def dataset_files(path: Path) -> Iterator[dict[str, Path]]:
    """Role -> file, until the block ends. A file is the whole; a folder has one table (`train.*`, where there is one
    with `test.*`), at its top or in `data/`; without tables, or with images that belong to them, it is packed into a
    temporary zip. Raises `NotThere` for tables of which several could be meant, `Unusable` for links in what is
    packed."""
    if not path.is_dir():
        yield {"file": path}
        return
    home = path if _tables(path) or not _tables(path / "data") else path / "data"
    tables = _tables(home)
    if tables and not is_images(home, tables):
        yield _roles(path, tables)
        return
    with TemporaryDirectory() as folder:
        yield {"file": packed(home, Path(folder) / f"{path.resolve().name}.zip")}


def _tables(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in found if file.is_file() and _is_table(file))


def _is_table(file: Path) -> bool:
    """By its ending; a `.json` is one where it begins an array, for settings and descriptions are objects."""
    name = file.name.lower()
    if not name.endswith(ARRAYS):
        return name.endswith(TABLES)
    try:
        with gzip.open(file) if name.endswith(".gz") else file.open("rb") as content:
            return content.read(HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    except (OSError, EOFError, zlib.error):
        return True  # the service says what is wrong with it


def _roles(path: Path, tables: list[Path]) -> dict[str, Path]:
    parts = {role: [file for file in tables if file.name.lower().startswith(role)] for role in ("train", "test")}
    if len(tables) == 1 and not parts["test"]:
        return {"file": tables[0]}
    if len(parts["train"]) != 1 or len(parts["test"]) > 1:
        names = ", ".join(file.name for file in tables[:12])
        raise NotThere(f"{path} holds {names}.", "Name the files with --train and --test.")
    return {role: files[0] for role, files in parts.items() if files}
