"""Why there is no file of a task's students as it was asked for. Said alike before a job is queued and in its run.
Torch-free."""

from __future__ import annotations

from collections.abc import Iterator

from distill import exports, tasks
from distill.not_exportable import NotExportable
from distill.tasks.spec import TaskSpec
from distill.types import ExportRequest


def refusals(spec: TaskSpec, wanted: ExportRequest) -> Iterator[NotExportable]:
    """Of the format, or else of each parameter that such students have not: `details["parameter"]`. The format must be
    one that there is."""
    told = {"task": spec.name, "format": wanted.format}
    if wanted.format not in spec.formats:
        having = ", ".join(each.title for each in tasks.specs() if wanted.format in each.formats)
        own = f"Ask for one of {', '.join(spec.formats)}, or use" if spec.formats else "Use"
        yield NotExportable(
            f"{spec.title}: there is no format {wanted.format} of its students. It is for: {having}.",
            f"{own} the student as it is delivered.",
            told,
        )
        return
    for name in filter(wanted.parameters.get, exports.parameters_without(wanted.format, spec.exports)):
        yield NotExportable(
            f"{spec.title}: a {wanted.format} file of its students cannot have {name}.",
            f"Ask for {wanted.format} without {name}.",
            told | {"parameter": name},
        )
