"""A look at the teacher's answers before any long work: a few held-out samples, which no figure of the report uses."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.layers.forward import forward
from distill.layers.modes import evaluating
from distill.running.session import Session
from distill.tasks.base import Task
from distill.tasks.network import Network
from distill.tasks.teacher_answers import Answers, judged
from distill.training import distributed
from distill.types import Event
from distill.warned import RunWarning, named


def look_at_teacher(session: Session) -> list[Event]:
    """What a log should say of the teacher, and its `warning` events, which the session keeps. Nothing where no recipe
    learns from it, of one that does not know the dataset's classes, for a continued run (its checkpoint tells), and
    beside the first process."""
    task = session.task
    session.warnings = list(session.carry.get("warnings", []))
    if session.spec.resume_from or distributed.rank() > 0:
        return []
    found: list[RunWarning] = list(task.cautions())
    events: list[Event] = []
    for teaching in session.teachings if task.recipe.needs_teacher else ():
        answers = answers_of(task, teaching.network) if teaching.match.same else None
        if answers is not None:
            right, of = f"{answers.accuracy:.2%}", f"{len(answers.labels):,} held-out labels"
            told = teaching.own(f"The teacher answers {right} of {of} rightly.")
            events.append(Event("log", {"level": "info", "message": told}))
            found += [named(each, teaching.label) for each in judged(answers, task.classes)]
    session.warnings += [each.to_dict() for each in found]
    for each in found:
        events += [Event("warning", each.to_dict()), Event("log", {"level": "warning", "message": str(each)})]
    return events


@torch.no_grad()
def answers_of(task: Task, network: Network) -> Answers | None:
    """The network's answers on up to `task.checked_samples` validation samples, at even distances; None for a task
    whose answers are no classes. Draws nothing from torch's global generators."""
    held = task.splits.validation
    places = torch.linspace(0, len(held) - 1, min(len(held), task.checked_samples)).round().long()
    columns: list[tuple[Tensor, Tensor]] = []
    outputs, answer = 0, task.answer_of(network)
    devices = [task.device] if task.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), evaluating(network.module):
        for batch in task.plain_loader("train", held[places], network).epoch(0):
            compared = answer.compare(forward(network.module, batch.student), batch.labels)
            scores, labels = compared.outputs, compared.labels
            if not isinstance(scores, Tensor) or scores.dim() != 2 or labels.dim() != 1 or labels.is_floating_point():
                return None
            columns.append((labels.cpu(), scores.argmax(1).cpu()))
            outputs = scores.shape[1]
    labels, predicted = (torch.cat(column) for column in zip(*columns, strict=True))
    return Answers(labels, predicted, outputs)
