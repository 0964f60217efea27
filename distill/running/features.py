"""The report's columns where the test set has no labels: what features are worth, by a probe set and by the teacher."""

from __future__ import annotations

import torch

from distill import offload
from distill.layers import capture
from distill.layers.forward import forward
from distill.layers.modes import evaluating
from distill.recipe_parts.guarantee import depends
from distill.report import in_per_cent
from distill.running.columns import (
    Columns,
    Report,
    column,
    deepest_of,
    deepest_student,
    features_column,
    labelled,
    set_column,
)
from distill.running.session import Session
from distill.training.cache import Teacher
from distill.training.loop import Outcome
from distill.training.mode import Mode
from distill.training.validate import validate_by_teacher
from distill.types import Layer


def by_features(session: Session, _outcome: Outcome) -> Columns:
    """Student and teacher by k-NN and linear probe of the deepest distilled layer's feature, on the probe set where the
    job names one; the student by the recipe's loss on the held-out pictures too."""
    task, given = session.task, session.spec.comparison
    student_layer = deepest_student(session)
    student = column(task, task.student, task.worth(task.student, student_layer) | _held_out(session))
    teachers = [features_column(session, each) for each in session.teachings]
    beside = None
    if task.comparison is not None and given is not None:
        deepest = task.layers(task.comparison)[-1]
        beside = labelled(column(task, task.comparison, task.worth(task.comparison, deepest)), given)
    said: Report = {"beats": None, "alike": None, "difference": None, "differences": []}
    text = _text(session, student, teachers)
    notes = _notes(session, student, student_layer)
    whole = teachers[0] if len(teachers) == 1 else set_column(session)
    return Columns(student, whole, teachers, beside, {}, said | {"text": text}, None, notes)


def _held_out(session: Session) -> Report:
    """`held_out_loss`: the mean of the recipe's loss over the test pictures, in eval mode and fp32."""
    task, recipe = session.task, session.recipe
    assert recipe is not None
    for network in (task.student.module, session.teacher.module):
        offload.put(network, task.device)
    offload.put(recipe, task.device)
    teacher = Teacher(recipe, Mode(), task.device)
    found = validate_by_teacher(recipe, task.taught_source(), teacher, Mode(), task.device)
    return {"held_out_loss": {"value": found["loss"], "n": len(task.splits.test)}}


def _text(session: Session, student: Report, teachers: list[Report]) -> str:
    loss = student["held_out_loss"]
    held = f"The recipe's loss on {loss['n']:,} held-out pictures is {loss['value']:.4g}"
    probe = session.task.about_probe()
    if probe is None:
        return (
            "Nothing could be scored: the pictures have no labels, and the job names no probe (a small labelled "
            f"dataset). {held}."
        )
    named = [("of the student's features reach", student)]
    named += [
        (f"of the features of {each['label']}" if len(teachers) > 1 else "of the teacher's", each) for each in teachers
    ]
    said = [f"the 20 nearest neighbours {name} {in_per_cent(each['knn'])}" + _linear(each) for name, each in named]
    return f"The pictures have no labels. On the probe set {probe['name']} {'; '.join(said)}. {held}."


def _linear(each: Report) -> str:
    return f", a linear probe {in_per_cent(each['linear_probe'])}" if "linear_probe" in each else ""


def _notes(session: Session, student: Report, own: Layer) -> list[str]:
    notes = [
        "The pictures have no labels: the student is a backbone without a classifier, trained by the teacher's "
        "features alone, and the best one so far is that of the least loss on held-out pictures."
    ]
    probe = session.task.about_probe()
    if probe is not None:
        deepest = [f"at {deepest_of(each).name} of {each.label or 'the teacher'}" for each in session.teachings]
        notes.append(
            f"k-NN and linear probe read the feature at {own.name} of the student and {' and '.join(deepest)}, "
            f"averaged over its positions, on the probe set {probe['name']}: fitted on {probe['train']:,} pictures, "
            f"tested on {probe['test']:,}. No training step saw it."
        )
        if "linear_probe" not in student:
            notes.append(f"There is no linear probe: {student['probe']['reason']}.")
    left = untrained(session, own)
    if left:
        shown = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
        notes.append(
            f"{len(left)} tensors of the student stand behind its deepest distilled layer {own.name} and are as they "
            f"began ({shown}): read its features at that layer, or train a classifier on top."
        )
    return notes


def untrained(session: Session, deepest: Layer) -> list[str]:
    """Names of the student's parameters that no distilled feature depends on: nothing taught them."""
    network = session.task.student
    named = [(name, each) for name, each in network.module.named_parameters() if each.requires_grad]
    layers = session.pairs.student_names if session.pairs else (deepest.name,)
    with evaluating(network.module), torch.enable_grad(), capture(network.module, layers) as features:
        forward(network.module, network.example(2, session.task.device))
        total = torch.stack([features[name].float().sum() for name in layers]).sum()
        taught = depends(total, [each for _, each in named])
    return [name for (name, _), reached in zip(named, taught, strict=True) if not reached]
