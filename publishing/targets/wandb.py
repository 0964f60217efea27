"""An offline run of Weights & Biases with the metric history and the files, as an artifact of the publication.

Nothing leaves the service: `wandb sync` uploads the folder in the downloaded zip. The run's id is the publication's, so
a second upload changes the same run. A step is one row of the history, with the values of every split.
"""

from __future__ import annotations

import zipfile
from datetime import UTC
from pathlib import Path
from typing import Any

from publishing.bundle import Bundle
from publishing.targets._base import Delivered, Say, Target
from publishing.wandb_file import WandbFile

PARAMETERS = {
    "project": {"type": "string", "default": "retort", "minLength": 1, "maxLength": 128, "description": "The project."},
    "run_name": {"type": "string", "default": "", "maxLength": 128, "description": "Empty: the job's name or id."},
    "files": {"type": "boolean", "default": True, "description": "Whether the run has the student's files."},
}
CREDENTIALS: dict[str, dict[str, object]] = {}
MEDIA_TYPE, EPOCH = "application/zip", (1980, 1, 1, 0, 0, 0)


class Wandb(Target):
    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        names = [each.name for each in bundle.files] if self.parameters["files"] else []
        run_id, began = bundle.publication, bundle.started_at.astimezone(UTC)
        run = f"offline-run-{began:%Y%m%d_%H%M%S}-{run_id}"
        folder = bundle.folder.parent / "wandb"
        folder.mkdir(exist_ok=True)
        rows = self._write(bundle, folder / "run", names)
        with zipfile.ZipFile(folder / f"{run}.zip", "w") as archive:
            _add(archive, folder / "run", f"{run}/run-{run_id}.wandb")
            for name in names:
                _add(archive, bundle.path(name), f"{run}/files/{name}")
        say(f"{rows} steps and {len(names)} files are in {run}.zip; unzip it and run: wandb sync {run}")
        receipt = {"file": f"{run}.zip", "run_id": run_id, "project": self.parameters["project"], "steps": rows}
        return Delivered(receipt, {f"wandb/{run}.zip": MEDIA_TYPE})

    def _write(self, bundle: Bundle, path: Path, names: list[str]) -> int:
        """How many steps it has."""
        began, ended = bundle.started_at.timestamp(), bundle.finished_at.timestamp()
        steps, last = _steps(bundle, began, ended)
        about = {"recipe": bundle.recipe, "student": bundle.student.get("name", ""), "retort.job": bundle.job}
        with WandbFile(path) as file:
            title = self.parameters["run_name"] or bundle.title
            file.run(bundle.publication, self.parameters["project"], title, about | bundle.config, began)
            for step in sorted(steps):
                file.history(step, steps[step])
            file.summary(last | {"result": bundle.result})
            if names:
                file.files(names)
            file.end(max(0.0, ended - began))
        return len(steps)


def _steps(bundle: Bundle, began: float, ended: float) -> tuple[dict[int, dict[str, Any]], dict[str, float]]:
    """The values of every step, and the last of each metric."""
    steps: dict[int, dict[str, Any]] = {}
    last: dict[str, float] = {}
    for row in sorted(bundle.metrics, key=lambda row: row.step):
        told = {f"{row.split}/{name}": value for name, value in row.values.items() if value is not None}
        at = max(row.at or ended, steps.get(row.step, {}).get("_timestamp", 0.0))
        times = {"_timestamp": at, "_runtime": max(0.0, at - began)}
        steps[row.step] = steps.get(row.step, {}) | told | times | {"epoch": row.epoch}
        last |= told
    return steps, last


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    """Of the same content the same bytes, whenever it is made: the time in the zip is no time."""
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr, entry.file_size = 0o644 << 16, path.stat().st_size
    with path.open("rb") as source, archive.open(entry, "w") as target:
        while piece := source.read(1 << 20):
            target.write(piece)


ENTRY = Wandb
