"""The one-shot process: `python -m worker.converter INPUT OUTPUT LIMITS`, run by `worker.converter.convert` only.

Prints one line of JSON: {"tensors", "notes"}, {"refused": InvalidTeacher.to_dict()} or {"failed": message} when the
machine and not the input is at fault.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from distill.container import HEAD_BYTES, container
from distill.errors import InvalidTeacher
from worker.converter.from_torch import convert_torch
from worker.converter.limits import ConverterLimits
from worker.converter.refusal import RESAVE
from worker.converter.shards import convert_shards
from worker.converter.sources import names_in_zip
from worker.converter.zip_container import is_zip


def _convert(path: Path, out: Path, limits: ConverterLimits) -> tuple[int, tuple[str, ...]]:
    if path.is_dir():
        return convert_shards(path, out, limits)
    if is_zip(path):
        shards = any(name.endswith(".safetensors") for name in names_in_zip(path, limits))
        return convert_shards(path, out, limits) if shards else convert_torch(path, out, limits, zipped=True)
    with path.open("rb") as file:
        pickled = container(file.read(HEAD_BYTES)) == "pickle"
    return convert_torch(path, out, limits, zipped=False) if pickled else convert_shards(path, out, limits)


def main(arguments: list[str]) -> dict[str, Any]:
    path, out, limits = Path(arguments[0]), Path(arguments[1]), ConverterLimits(**json.loads(arguments[2]))
    try:
        tensors, notes = _convert(path, out, limits)
        return {"tensors": tensors, "notes": notes}
    except InvalidTeacher as error:
        return {"refused": error.to_dict()}
    except (MemoryError, RecursionError) as error:
        why = f"The checkpoint was refused: it needs too much memory to read ({type(error).__name__})."
        return {"refused": InvalidTeacher(why, RESAVE).to_dict()}
    except (OSError, ImportError) as error:
        return {"failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(main(sys.argv[1:])) + "\n")
