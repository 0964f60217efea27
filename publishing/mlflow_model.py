"""A student's files as an MLflow model: a folder with `MLmodel`, which names how it is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from publishing.bundle import FOLDER, WEIGHTS, Bundle


def describe(bundle: Bundle, folder: Path) -> Path:
    """Lay out what is logged under `model/` of the run. `MLmodel` is YAML, of which JSON is a part."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in bundle.files:
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(bundle.path(file.name))
    (folder / "MLmodel").write_text(json.dumps(_mlmodel(bundle), indent=1) + "\n", encoding="utf-8")
    return folder


def _mlmodel(bundle: Bundle) -> dict[str, Any]:
    """The flavour `retort` names the weights and the task; `distill.student.load_student` reads the file."""
    flavour = {"data": WEIGHTS if bundle.has(WEIGHTS) else FOLDER, "task": bundle.task}
    made = bundle.finished_at.strftime("%Y-%m-%d %H:%M:%S.%f")
    return {"flavors": {"retort": flavour}, "utc_time_created": made, "model_uuid": bundle.publication}
