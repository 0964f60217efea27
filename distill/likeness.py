"""In what two runs differ that are compared, beside what is compared. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from distill.types import Architecture, DistillConfig, TrainedRun

COMPARED = frozenset({
    "recipe", "recipe_parameters", "selection", "selection_parameters", "layers", "teacher_layers", "student_layers",
    "quality_samples", "quality_bootstrap", "text_features", "teacher_classes",
    "teacher_weights",
})  # fmt: skip
"""Settings of recipe and selection: they are what a comparison is made for."""
EXECUTION = frozenset({
    "device", "deterministic", "channels_last", "compile", "cache_teacher", "cache_memory_bytes",
    "quality_memory_bytes", "checkpoint_seconds",
})  # fmt: skip
"""Settings that say how something is computed: they change a student by rounding at most."""
EXPORTED = frozenset({"threshold", "exports"})
"""Settings of what is delivered: they change no weight and no figure."""
ESSENTIAL = frozenset({"student", "steps"})
"""Where one of these differs nobody beats anybody."""
_OF_THE_RECIPE = frozenset({"untied"})  # options that a run sets for its recipe, whatever was asked for


@dataclass(frozen=True, slots=True)
class Differing:
    """A field that two runs do not have in common; the values are JSON."""

    field: str
    ours: Any
    theirs: Any

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.field} ({shown(self.ours)} here, {shown(self.theirs)} there)"


def differences(ours: TrainedRun, theirs: TrainedRun) -> list[Differing]:
    """What the runs differ in: student, steps, first weights, teacher, fitted head, then the resolved
    configurations' fields, but for `COMPARED`, `EXECUTION` and `EXPORTED`. A setting that one side does not state has
    its default there, since releases before it did what that default is; null where that is `auto`, or nothing is known
    of it."""
    pairs: dict[str, tuple[Any, Any]] = {
        "student": (_student(ours.student), _student(theirs.student)),
        "steps": (ours.steps, theirs.steps),
        "start": (ours.start or "random weights", theirs.start or "random weights"),
    }
    if ours.teacher and theirs.teacher:  # labels alone have none, which is what is compared
        pairs["teacher"] = (ours.teacher, theirs.teacher)
    pairs["head_fitted"] = (ours.head_fitted, theirs.head_fitted)
    pairs |= _settings(ours.configuration, theirs.configuration)
    return [Differing(field, *pair) for field, pair in pairs.items() if pair[0] != pair[1]]


def alike(found: list[Differing]) -> bool:
    """Whether it is the same student after the same steps."""
    return not any(each.field in ESSENTIAL for each in found)


def shown(value: Any) -> str:
    """A value in a sentence."""
    if isinstance(value, Mapping) and "name" in value:
        options = ", ".join(f"{name} {option}" for name, option in sorted(value.get("options", {}).items()))
        return f"{value['name']} with {options}" if options else str(value["name"])
    words = {None: "none", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."


def _student(given: Architecture) -> dict[str, Any]:
    options = {name: value for name, value in given.options.items() if name not in _OF_THE_RECIPE}
    return {"name": given.name, "options": options}


def _settings(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*ours, *(name for name in theirs if name not in ours)]
    kept = [name for name in names if name not in COMPARED | EXECUTION | EXPORTED]
    return {name: (_stated(ours, name), _stated(theirs, name)) for name in kept}


def _stated(configuration: Mapping[str, Any], name: str) -> Any:
    field = DistillConfig.model_fields.get(name)
    unstated = None if field is None or field.is_required() or field.default == "auto" else field.get_default()
    return configuration.get(name, unstated)
