"""The evaluating phase: teacher, student and comparison on the untouched test set, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.likeness import Differing, differences
from distill.modalities.images.shards.supply import SUPPLY, tally
from distill.models.options import in_full
from distill.report import SCHEMA, environment
from distill.running.columns import Columns, assess, companion_columns, curve_column, labelled, teacher_columns
from distill.running.features import by_features
from distill.running.session import Session
from distill.tasks.base import Task
from distill.training import checkpoint
from distill.training.loop import Outcome
from distill.types import Architecture, TrainedRun
from distill.verdict import verdict

Report = dict[str, Any]


def evaluate(session: Session, outcome: Outcome) -> Report:
    """The report. Reads the test set, once for each network."""
    task, first = session.task, session.teachings[0] if session.teachings else None
    found = judged(session, outcome) if task.answer.taught else by_features(session, outcome)
    shards = _shards(session)
    some = {name: told for name, told in (("choice", session.choice), ("shards", shards)) if told}
    return some | {
        "schema": SCHEMA,
        "title": f"{task.student.architecture.name} by {task.config.recipe} on {task.dataset.name}",
        "task": task.spec.name,
        "metrics": [metric.to_dict() for metric in task.metrics_shown],
        "per_class": task.spec.per_class,
        "counted": task.spec.counted or task.spec.samples,
        "intervals": task.intervals,
        "recipe": task.config.recipe,
        "student": found.student,
        "teacher": found.teacher,
        "teachers": found.teachers,
        "comparison": found.comparison,
        "companions": found.companions,
        "verdict": found.verdict,
        "against_teacher": found.against_teacher,
        "selection": first.pairs.to_dict() if first and first.pairs else None,
        "q_curve": curve_column(first.curve) if first and first.curve else None,
        "start": task.start.to_dict() if task.start else None,
        "training": _training(task, outcome),
        "seeds": [task.config.seed],
        "configuration": session.resolved["config"],
        "reasons": session.resolved["reasons"],
        "dataset": _dataset(task),
        "probe": task.about_probe(),
        "digests": _digests(session),
        "environment": environment(task.device, session.resolved["config"]["precision"]),
        "warnings": session.warnings,
        "notes": [
            *task.dataset.notes,
            *task.notes(),
            *_notes(session, outcome),
            *session.notes,
            *found.notes,
            *_crowded(shards),
        ],
    }


def judged(session: Session, outcome: Outcome) -> Columns:
    """By the labels of the test set."""
    task, given = session.task, session.spec.comparison
    taught, teacher, teachers = teacher_columns(session)
    found, student = assess(task, task.student, taught)
    session.apart = None if taught is None else task.apart(found, taught)
    compared, comparison = assess(task, task.comparison, taught) if task.comparison else (None, None)
    further = companion_columns(session, taught)
    said = verdict(
        None if compared is None else task.difference(found, compared),
        given.label if given else "",
        task.spec.primary,
        _differing(session, outcome, student),
        distilled=task.recipe.needs_teacher,
    )
    against = None if taught is None else task.difference(found, taught).to_dict()
    beside = None if comparison is None or given is None else labelled(comparison, given)
    notes = [note for each in teachers for note in _other_classes(each, len(teachers))]
    return Columns(student, teacher, teachers, beside, further, said, against, notes)


def _differing(session: Session, outcome: Outcome, student: Report) -> list[Differing] | None:
    """What this run and the comparison's do not have in common; None where nothing is known of the latter."""
    theirs = session.spec.comparison.run if session.spec.comparison else None
    if theirs is None:
        return None
    ours = TrainedRun(
        student=in_full(Architecture.model_validate(student["architecture"])),
        steps=outcome.step,
        configuration=session.resolved["config"],
        head_fitted=outcome.head is not None and outcome.head.fitted,
        teacher=session.task.teacher.digest if session.task.teacher else "",
        start=session.spec.start.digest if session.spec.start else "",
    )
    return differences(ours, theirs.model_copy(update={"student": in_full(theirs.student)}))


def _training(task: Task, outcome: Outcome) -> Report:
    """`validation` and `best_validation` are values of the primary metric; `..._accuracy` are the same where that is
    the accuracy, as earlier releases wrote them; `validation_metric` says what it is."""
    accuracy = task.answer.primary == "accuracy"
    return {
        "ending": outcome.ending,
        "steps": outcome.step,
        "epochs": outcome.epoch,
        "seconds": outcome.seconds,
        "images_per_second": outcome.images_per_second,
        "validation": outcome.validation,
        "best_validation": outcome.best_validation,
        "validation_accuracy": outcome.validation if accuracy else None,
        "best_validation_accuracy": outcome.best_validation if accuracy else None,
        "validation_metric": task.validated.to_dict(),
        "head": outcome.head.to_dict() if outcome.head else None,
    }


def _dataset(task: Task) -> Report:
    data, splits = task.dataset, task.splits
    return {
        "name": data.name,
        "classes": len(task.classes),
        "train": len(splits.train),
        "validation": len(splits.validation),
        "test": len(splits.test),
    } | task.about_data()


def _digests(session: Session) -> dict[str, str]:
    """sha256: the dataset's contents, the teacher's file, the student's tensors (`checkpoint.digest` of the sorted
    state dict), the key of the Q curve, and the weights that the student started from. Of several teachers `teacher` is
    of all their files and weights, and each file and each curve has its number."""
    task = session.task
    state = task.student.module.state_dict()
    found = {
        "dataset": task.dataset.digest,
        "teacher": task.teacher.digest if task.teacher else "",
        "student": checkpoint.digest({name: state[name] for name in sorted(state)}),
        "q_curve": session.curves[0].digest if session.curves else "",
        "start": session.spec.start.digest if session.spec.start else "",
    }
    for number, each in enumerate(session.teachings, 1) if len(session.teachings) > 1 else ():
        found |= {
            f"teacher_{number}": each.network.digest,
            f"q_curve_{number}": each.curve.digest if each.curve else "",
        }
    return found


def _shards(session: Session) -> dict[str, int] | None:
    """What was fetched of the datasets' shards since the attempt began; None where nobody supplies them."""
    folder = session.spec.dataset.files.get(SUPPLY)
    return tally(Path(folder)) if folder else None


def _crowded(shards: dict[str, int] | None) -> list[str]:
    if not shards or not shards["crowded"]:
        return []
    return [
        f"{shards['crowded']:,} of the {shards['fetched']:,} shards that were fetched had been there before, and made "
        f"room for those of other jobs: {shards['crowded_bytes']:,} bytes came again. More room for shards "
        f"(RETORT_SHARD_CACHE_BYTES, {shards['budget_bytes']:,}), or fewer jobs at once, would spare that time."
    ]


def _notes(session: Session, outcome: Outcome) -> list[str]:
    notes = ["The test set was read once, after training; every choice was made on validation samples."]
    if outcome.ending == "stopped":
        notes.append("Training was stopped early; this is the best student by validation until then.")
    if session.config.test_limit is not None:
        used, there = len(session.task.splits.test), len(session.task.dataset.test)
        notes.append(f"Only {used} of {there} test samples were used (test_limit).")
    if session.task.start is not None:
        notes.append(f"The student did not start from noise: {session.task.start.told()}.")
    return notes


def _other_classes(teacher: Report, of: int) -> list[str]:
    """What stands in place of an accuracy that the teacher, one `of` so many, does not have."""
    if "other_classes" not in teacher:
        return []
    who = "The teacher" if of == 1 else f"{teacher['label'][:1].upper()}{teacher['label'][1:]}"
    first = f"{who} does not know the dataset's classes ({teacher['other_classes']}): its features alone were read."
    probe = teacher.get("probe")
    if probe is None:
        return [first]
    if "linear_probe" not in teacher:
        return [f"{first} There is no linear probe of them: {probe['reason']}."]
    return [
        f"{first} In place of an accuracy it has that of a linear probe: a linear classifier of its layer "
        f"{probe['layer']}, fitted to {probe['samples']:,} training samples, its penalty chosen on validation samples."
    ]
