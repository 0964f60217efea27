"""Event files of TensorBoard with the metric history, as an artifact of the publication.

Nothing leaves the service: `tensorboard --logdir` reads the downloaded file. Every row of the history is a scalar
`split/metric` with its step and the time at which it came.
"""

from __future__ import annotations

import json
from pathlib import Path

from publishing.bundle import Bundle
from publishing.targets._base import Delivered, Say, Target

PARAMETERS: dict[str, dict[str, object]] = {}
CREDENTIALS: dict[str, dict[str, object]] = {}
MEDIA_TYPE = "application/octet-stream"


class TensorBoard(Target):
    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        folder = bundle.folder.parent / "tensorboard"
        written = _write(bundle, folder)
        # tensorboardX puts the time and the machine's name into the file's; the same history is to have the same name.
        path = written.with_name(f"events.out.tfevents.{int(bundle.finished_at.timestamp())}.{bundle.job}")
        written.rename(path)
        say(f"{len(bundle.metrics)} rows of metrics are in {path.name}")
        return Delivered({"file": path.name, "rows": len(bundle.metrics)}, {f"tensorboard/{path.name}": MEDIA_TYPE})


def _write(bundle: Bundle, folder: Path) -> Path:
    """The one event file of a new folder."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))
    told = {"job": bundle.job, "recipe": bundle.recipe, "student": bundle.student, "config": bundle.config}
    ended = bundle.finished_at.timestamp()
    writer.add_text("job", f"```json\n{json.dumps(told, indent=1)}\n```", 0, walltime=ended)
    for row in bundle.metrics:
        for name, value in row.values.items():
            if value is not None:
                writer.add_scalar(f"{row.split}/{name}", value, row.step, walltime=row.at or ended)
    writer.close()
    return next(folder.iterdir())


ENTRY = TensorBoard
