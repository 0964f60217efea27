"""The inspector process: `python -m worker.inspecting.inspector WHAT FOLDER` looks at untrusted files.

WHAT is teacher, dataset, part or sample (of a dataset of shards), catalogue or cost.

FOLDER/request.json says what to look at; FOLDER/answer.json gets `{"report": ...}` or `{"error": ...}`. It has no
credentials, works under resource limits and, before it touches a file, gives up all of the machine but FOLDER (see
`worker.isolation.inside`), so a hostile file can at worst end this process.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill import tasks
from distill.data.limits import DEFAULT
from distill.errors import RetortError
from distill.modalities.images.shards import supply
from distill.modalities.images.shards.supply import NAMES, SUPPLY
from distill.types import Architecture, DatasetInput, TeacherPreprocessing
from worker.errors import Internal, disk_full
from worker.inspecting.verdicts import too_large
from worker.isolation.inside import shut_in
from worker.isolation.required import NAMED_SETS

REQUEST, ANSWER, CONVERTED = "request.json", "answer.json", "converted"
UNPACKED, THUMBNAILS, MODEL_ZIP, INDEX_FILE = "unpacked", "thumbnails.webp", "model.zip", "index.shards"
PART_FILE = "part.shards"
CONFINED = frozenset({"teacher", "dataset", "part", "sample"})
ALLOWED = "cpu_seconds"
"""In a request: processor time, where what is inspected needs more than `CPU_SECONDS`."""
CPU_SECONDS, MEMORY_BYTES = 1800, 32 * 2**30  # address space: torch alone maps several GiB
LAST_SECONDS = 10
DATA_BYTES = 12 * 2**30  # memory of its own: two splits of small images decoded, a row group of parquet, and room
FILE_BYTES = 64 * 2**30  # an inspection may unpack an archive into its folder


def main(arguments: list[str]) -> int:
    """0 when there is an answer, be it an error."""
    what, folder = arguments
    request = json.loads((folder_path := Path(folder)).joinpath(REQUEST).read_text())
    (folder_path / UNPACKED).mkdir()
    answer: dict[str, Any] = {}
    try:
        if kept_as_folder(request):
            (folder_path / CONVERTED).mkdir()  # shut in, no folder can be made
        elif "source" in request:
            answer["converted"] = _convert(request, folder_path)  # in a sandbox with limits of its own
        limit(request.pop(ALLOWED, CPU_SECONDS))
        if what in CONFINED:
            caches = {"TORCHINDUCTOR_CACHE_DIR": folder, "XDG_CACHE_HOME": folder}  # torch would make one on import
            os.environ |= {"TMPDIR": folder} | caches
            sys.stderr.write(f"{shut_in(readable(request), [folder]).summary()}\n")
        answer["report"] = KINDS[what](request, folder_path)
    except Exception as error:
        traceback.print_exc()
        answer = {"error": explain(error, what).to_dict()}
    partial = folder_path / f"{ANSWER}.partial"
    partial.write_text(json.dumps(answer, default=_plain))
    partial.replace(folder_path / ANSWER)
    return 0


def limit(cpu_seconds: int) -> None:
    """Caps on processor time, address space, file size; no core dumps. At the end of its processor time the kernel says
    why (SIGXCPU) before it kills."""
    for kind, value in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_DATA, DATA_BYTES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = value + LAST_SECONDS if kind == resource.RLIMIT_CPU else value
        if hard != resource.RLIM_INFINITY:
            value, most = min(value, hard), min(most, hard)
        resource.setrlimit(kind, (value, most))


def kept_as_folder(request: dict[str, Any]) -> bool:
    """Whether this teacher is kept as a model folder in a zip, and not as one file of weights."""
    if "architecture" not in request:
        return False
    return tasks.container(Architecture.model_validate(request["architecture"]).name) == "folder"


def readable(request: dict[str, Any]) -> list[str]:
    """What lies outside the folder and may be read: the named sets, for a request that names one; shards that are
    supplied."""
    if links := request.get("files", {}).get(SUPPLY):
        return [links, str(supply.facts(Path(links))["kept"])]
    named = request.get("kind") == "named"
    return os.environ.get(NAMED_SETS, "").split(os.pathsep) if named else []


def explain(error: Exception, what: str) -> RetortError:
    if isinstance(error, RetortError):
        return error
    if isinstance(error, MemoryError):
        return too_large(what)
    return disk_full(error) or Internal(
        f"The inspection failed: {type(error).__name__}: {error}", "See the worker's log."
    )


def _convert(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make safetensors of what was sent, and `request` name them."""
    from worker.converter import convert

    made = convert(Path(request["source"]), folder / CONVERTED)
    request["weights"] = str(made.paths[0])
    return {"notes": list(made.notes), "isolation": made.isolation.summary()}


def _teacher(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    from distill.tasks.networks import Sent, examine

    path = Path(request["source"] if kept_as_folder(request) else request["weights"])
    sent = Sent(path, folder / UNPACKED, folder / CONVERTED / MODEL_ZIP, _told(request))
    return examine(Architecture.model_validate(request["architecture"]), sent)


def _told(request: dict[str, Any]) -> TeacherPreprocessing | None:
    given = request.get("preprocessing")
    return None if given is None else TeacherPreprocessing.model_validate(given)


def _dataset(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    from distill.modalities.images.described import thorough
    from distill.tasks.inspection import Room, inspect  # without torch

    dataset = DatasetInput.model_validate(request)
    if NAMES in dataset.files:
        from distill.modalities.images.kinds.shards import indexed

        dataset = indexed(dataset, thorough(DEFAULT), folder / UNPACKED, folder / INDEX_FILE)
    return inspect(dataset, Room(folder / UNPACKED, folder / THUMBNAILS))


def _part(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What was read up to a problem is left beside it."""
    from distill.modalities.images.described import thorough
    from distill.modalities.images.kinds.shards import part_of
    from distill.modalities.images.shards import part_file

    part = part_of(DatasetInput.model_validate(request), thorough(DEFAULT), folder / UNPACKED)
    part_file.write(part, folder / PART_FILE)
    if part.error is not None:
        raise part.error
    return {}


def _sample(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    from distill.modalities.images.described import thorough
    from distill.modalities.images.kinds.shards import sample_of

    return sample_of(DatasetInput.model_validate(request), thorough(DEFAULT), folder / UNPACKED)


def _catalogue(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    from distill.tasks.inspection import named_sets
    from distill.tasks.networks import catalogue
    from distill.training import optimizers

    return {"architecture": catalogue(), "dataset": named_sets(), "optimizer": optimizers.catalogue()}


def _cost(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    from distill.tasks.networks import measure

    return measure(request)


KINDS: dict[str, Callable[[dict[str, Any], Path], dict[str, Any]]] = {
    "teacher": _teacher,
    "dataset": _dataset,
    "part": _part,
    "sample": _sample,
    "catalogue": _catalogue,
    "cost": _cost,
}


def _plain(value: Any) -> Any:
    """numpy's numbers and pydantic's models among JSON's."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
