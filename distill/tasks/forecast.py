"""What is known of a job before a worker sees it: whether its parts fit together, and how large it is. Torch-free.

A task tells it in its folder's module `forecast`, whose `ENTRY` is a `Forecast`. Without that module its jobs are
checked by the specification alone, and are not estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from distill import class_weights, recipes
from distill.errors import UnknownName
from distill.estimate import SampleWork
from distill.held_out import held_out
from distill.pruned import Pruning, architecture_of
from distill.recorded import recorded_classes
from distill.scoring_memory import Sizes, needed_bytes, too_small
from distill.tasks import learnt_elsewhere, part, spec
from distill.tasks.candidates import Chain
from distill.tasks.spec import TaskSpec
from distill.teacher_classes import Known, match_set, refusal
from distill.types import Architecture, DistillConfig
from distill.warned import RunWarning

Question = dict[str, Any]
Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """A job as its request and the inspections tell of it. `dataset`, `teachers`: their reports (`{}`: ready, but of a
    release that kept none), a teacher's with its `label`. `needs_teacher`: whether the recipe learns
    from one (without that a teacher is only where the student starts). `probe`: the report on the labelled dataset that
    judges features, None where none is named."""

    config: DistillConfig
    student: Architecture
    dataset: Report
    teachers: tuple[Report, ...] = ()
    needs_teacher: bool = True
    probe: Report | None = None

    @property
    def teacher(self) -> Report | None:
        """The first, where one is all that a task takes; None where there is none."""
        return next(iter(self.teachers), None)

    @property
    def classes(self) -> int | None:
        """Number of classes that the dataset's inspection counted."""
        found = self.dataset.get("classes")
        return len(found) if isinstance(found, list | tuple | dict) else found

    @property
    def class_names(self) -> tuple[str, ...]:
        """What it calls them, by number; () where it told no names."""
        found = self.dataset.get("classes")
        return tuple(map(str, found)) if isinstance(found, list | tuple) else ()


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something that cannot work: `pointer` into the request, and what an error says of it."""

    pointer: str
    message: str
    remedy: str
    code: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Forecast:
    """The rules of one task. This class knows of none: every part fits, and nothing is estimated."""

    notes: tuple[str, ...] = ()
    """What every estimate of the task says beside its figures."""

    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        """What the specification cannot tell: teacher and dataset are of this task, but not of one another."""
        return iter(())

    def lacking(self, parts: Parts) -> Iterator[Misfit]:
        """What the dataset lacks for the recipe, whether there is a teacher or not."""
        return iter(())

    def cautions(self, parts: Parts) -> Iterator[RunWarning]:
        """What is probably wrong with the job, as its run would warn."""
        return iter(())

    def missing(self, parts: Parts) -> str:
        """Why there can be no estimate, for people; empty: there can."""
        return "No estimate is made for jobs of this task."

    def questions(self, parts: Parts) -> dict[str, Question]:
        """What workers should count (`distill.tasks.networks.measure`), by role: `student`, `teacher`, and of
        further teachers `teacher_2` and so on. The estimate
        needs every answer. Called only where nothing is `missing`."""
        return {}

    def students(
        self, parts: Parts, entries: Sequence[Mapping[str, Any]], families: Sequence[str] | None
    ) -> list[Chain]:
        """Networks among which a budget may choose. `entries`: of the catalogue of architectures. Raises `UnknownName`
        for a family that the task does not have. Called only where nothing is `missing`."""
        return []

    def pruned(self, teacher: Report, architecture: Architecture, how: Pruning) -> Architecture:
        """The student that is cut out of a teacher; called for tasks that prune. `teacher`: its report; `architecture`:
        what it was registered as. Raises `InvalidConfig` for a teacher that cannot be cut so."""
        whole = Architecture.model_validate(teacher.get("architecture") or architecture.model_dump())
        return architecture_of(whole, how.ratio, how.round_to, how.blocks)

    def rehearsal(self, parts: Parts) -> Question | None:
        """What a worker should put together before the job runs (`distill.tasks.networks.measure`), so that what its
        run would refuse or warn of is known; None: nothing is asked."""
        return None

    def work(self, parts: Parts, counted: Mapping[str, Mapping[str, Any]], tested: int) -> SampleWork:
        """What a sample takes. `counted`: the answers to `questions`; `tested`: test samples."""
        raise NotImplementedError

    def fed(self, dataset: Report) -> float:
        """Operations of the average sample that an earlier job was fed, as a share of those that its report states.
        `dataset`: of that job's result."""
        return 1.0


def forecast(task: str) -> Forecast:
    """The task's rules. Raises `UnknownName`."""
    try:
        found: Forecast = part(task, "forecast").ENTRY
    except ModuleNotFoundError as error:
        if not (error.name or "").endswith(f".{task}.forecast"):
            raise
        return Forecast()
    return found


def absent_layers(parts: Parts) -> Iterator[Misfit]:
    """Named teacher layers whose module a teacher lacks, where its inspection told its modules."""
    for teacher in parts.teachers if parts.needs_teacher else ():
        known = teacher.get("modules") or ()
        for number, name in enumerate(parts.config.teacher_layers or () if known else ()):
            path = name.removesuffix(":input").partition("#")[0]
            if path in known:
                continue
            close = get_close_matches(path, known, n=3)
            remedy = f"Did you mean {', '.join(close)}?" if close else "The teacher's report lists its layers."
            message = f"{teacher.get('label') or 'The teacher'} has no module {path!r}."
            details = {"name": name, "close": close}
            yield Misfit(f"/config/teacher_layers/{number}", message, remedy, "invalid_config", details)


def older(noun: str) -> str:
    """Why there is no estimate with a teacher or dataset whose report is of an older release."""
    return (
        f"The {noun} was inspected by an older release, which did not keep what an estimate needs: register it again."
    )


def of(task: str) -> tuple[TaskSpec, Forecast]:
    """Both that the API asks of a task."""
    return spec(task), forecast(task)


def skew_cautions(parts: Parts, samples: str) -> Iterator[RunWarning]:
    """That the classes are skewed, by the inspection's counts, where the job does nothing about it."""
    counts = (parts.dataset.get("counts") or {}).get("train") or []
    if parts.config.class_weights != "none" or parts.config.sampling == "balanced":
        return
    if parts.class_names and len(counts) == len(parts.class_names):
        found = class_weights.skew(counts, parts.class_names, samples)
        yield from [found] if found else []


def too_few(parts: Parts) -> Iterator[Misfit]:
    """Fewer training samples than one to validate on and two to train on, by the inspection's counts: as
    `distill.tasks.opening.splits_of` holds samples out of every class. What other data may have beside what is counted
    is left to the run."""
    counts, report = parts.dataset.get("counts") or {}, parts.dataset
    known = [number for number in counts.get("train") or [] if isinstance(number, int)]
    if not known or "validation" in counts or (report.get("without_label") or {}).get("train"):
        return
    fraction = parts.config.validation_fraction
    held = sum(held_out(number, fraction) for number in known if number)
    if held < 1 or sum(known) - held < 2:
        message = f"{sum(known)} training samples leave {sum(known) - held} to train on and {held} to validate."
        remedy = "Use more samples of each class, or another validation_fraction."
        yield Misfit("/dataset", message, remedy, "invalid_config", {"samples": sum(known)})


def scoring_misfits(parts: Parts) -> Iterator[Misfit]:
    """A budget for the Q curve that is too small for its samples, whatever the networks take: of data that are grouped
    by their labels, by the inspection's counts. What it does not tell is left to the run, as is a part of the training
    samples. A curve has the same number of every class, and all of a class that has fewer."""
    config, counts = parts.config, parts.dataset.get("counts") or {}
    scores = config.recipe in recipes.names() and recipes.registry.flag(config.recipe, "needs_layers", default=True)
    known = [number for number in counts.get("train") or [] if isinstance(number, int) and number]
    if not scores or not parts.teachers or len(known) < 2 or config.train_limit or config.pseudo_classes != "auto":
        return
    fraction = 0.0 if "validation" in counts else config.validation_fraction
    kept = (number - (held_out(number, fraction) if fraction else 0) for number in known)
    samples = sum(min(number, config.quality_samples // len(known)) for number in kept)
    budget = config.quality_memory_bytes
    needed = needed_bytes(Sizes(samples, 1, 1, 1), budget, lambda _: 0, 1) if samples else None
    if needed is not None:
        found = too_small(samples, needed, budget)
        yield Misfit("/config/quality_memory_bytes", found.message, found.remedy, found.code, found.details)


def weight_misfits(parts: Parts) -> Iterator[Misfit]:
    """Weights of classes that the dataset does not have."""
    wanted = parts.config.class_weights
    if isinstance(wanted, str) or not parts.class_names:
        return
    try:
        class_weights.check_names(wanted, parts.class_names)
    except UnknownName as error:
        yield Misfit("/config/class_weights", error.message, error.remedy, error.code, error.details)


def class_misfits(parts: Parts, of: TaskSpec) -> Iterator[Misfit]:
    """A recipe that reads logits wants a teacher of the dataset's classes. Numbers that no inspection told are not
    compared. `of`: the task."""
    ours = parts.classes
    if not parts.teachers or ours is None or parts.config.recipe not in recipes.names():
        return
    known = [_known(teacher, of.name) for teacher in parts.teachers]
    match, _ = match_set(known, ours, parts.class_names, parts.config.teacher_classes)
    found = refusal(match, parts.config, of.offers)
    if found is not None:
        counts = [each.count for each in known]
        details = {"teacher_classes": counts[0] if len(counts) == 1 else counts, "dataset_classes": ours}
        pointer = "/config/teacher_classes" if match.wrong else "/teacher"
        yield Misfit(pointer, found.message, found.remedy, "classes_differ", details)


def _known(teacher: Report, task: str) -> Known:
    metadata = teacher.get("metadata") or {}
    names = teacher.get("classes") or recorded_classes(metadata)
    return Known(teacher.get("label", ""), teacher.get("num_classes"), names, learnt_elsewhere(metadata, task))
