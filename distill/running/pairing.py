"""How the pairs of layers are chosen."""

from __future__ import annotations

from dataclasses import replace

from distill import selection
from distill.layer_count import Side, number_of_layers
from distill.running.pairs import Pairs
from distill.running.session import Session
from distill.running.teaching import Teaching
from distill.selection import even_positions
from distill.tasks.network import Network
from distill.types import Layer, QCurve

AUTO = "auto"
"""The selection that leaves the choice to us."""


def settle_count(session: Session) -> None:
    """Write down how many layers are distilled, and why, before any long work. Raises InvalidConfig for a number that a
    network does not have."""
    config, task = session.config, session.task
    networks = [("teacher", each.network, config.teacher_layers) for each in session.teachings]
    networks = [("student", task.student, config.student_layers), *networks]
    sides = [
        Side(role, network.architecture.name, len(task.layers(network, named))) for role, network, named in networks
    ]
    count, task.reasons["layers"] = number_of_layers(config, sides)
    task.run = task.run.model_copy(update={"config": config.model_copy(update={"layers": count})})


def _count(session: Session) -> int:
    """As `settle_count` left it."""
    count = session.config.layers
    assert count != "auto"
    return count


def check_student(session: Session) -> None:
    """Raise InvalidConfig where the recipe cannot work on the student's layers, before any long work."""
    config, student = session.config, session.task.student
    count = len(config.teacher_layers) if config.teacher_layers is not None else _count(session)
    layers, named = _students(session, count), config.teacher_layers
    teacher = None if named is None else [layer.shape for layer in session.task.layers(session.teacher, named)]
    recipe = session.task.recipe
    recipe.check_pairs(config.recipe_parameters, [layer.shape for layer in layers], teacher)
    recipe.check_student(student.module, [layer.name for layer in layers], student.example(2, session.task.device))


def choose_evenly(session: Session, teaching: Teaching, why: str) -> Pairs:
    """Named teacher layers, else k at even depths: what remains without a Q curve, for the reason `why`."""
    named = session.config.teacher_layers
    if named is not None:
        chosen = tuple(session.task.layers(teaching.network, named))
        return Pairs("explicit", chosen, _students(session, len(chosen)), "teacher_layers were named")
    found = teaching.layers
    chosen = tuple(found[i] for i in even_positions(len(found), _count(session)))
    return Pairs("even", chosen, _students(session, len(chosen)), f"even depths, because there is no Q curve: {why}")


def choose(session: Session, teaching: Teaching, curve: QCurve) -> Pairs:
    """Teacher layers by the configured rule or list, student layers at even depths or by list.

    Indices count within the Q curve where the layer is on it, else within the named list.
    """
    config = session.config
    if config.teacher_layers is not None:
        chosen = _named(session, teaching, config.teacher_layers, curve)
        return Pairs("explicit", chosen, _students(session, len(chosen)), "teacher_layers were named")
    rule = config.selection
    scored = selection.choose(curve, rule, _count(session), config.selection_parameters)
    layers = {layer.name: layer for layer in teaching.layers}
    names = {layer.index: layer.name for layer in curve.layers}
    chosen = tuple(layers[names[index]] for index in scored.chosen)
    students, why = _students(session, len(chosen)), f"{rule}: {selection.registry.summary(rule)}"
    if rule == AUTO:
        chosen, ending = _ending_alike(session, teaching, chosen, students)
        why += ending
    return Pairs(rule, chosen, students, why)


def _ending_alike(
    session: Session, teaching: Teaching, chosen: tuple[Layer, ...], students: tuple[Layer, ...]
) -> tuple[tuple[Layer, ...], str]:
    """The teacher's layers, the deepest of them where its head begins, if the student's deepest one is where its own
    does; and why, as a further sentence. A student distilled up to its pyramid learns from a pyramid."""
    own, theirs = _end(session.task.student), _end(teaching.network)
    layers = {layer.name: layer for layer in teaching.layers}
    if own is None or students[-1].name != own or theirs not in layers or chosen[-1].name == theirs:
        return chosen, ""
    return (*chosen[:-1], layers[theirs]), f" The deepest is {theirs}: there both networks' heads begin."


def _end(network: Network) -> str | None:
    """The last module that a recipe may distil, where the network says of itself which it is."""
    return getattr(network.module, "last_layer", None)


def _students(session: Session, count: int) -> tuple[Layer, ...]:
    """Layers at even depths, or those that the configuration names."""
    named = session.config.student_layers
    found = session.task.layers(session.task.student, named)
    return tuple(found) if named else selection.student_layers(found, count)


def _named(session: Session, teaching: Teaching, names: list[str], curve: QCurve) -> tuple[Layer, ...]:
    on_curve = {layer.name: layer.index for layer in curve.layers}
    found = session.task.layers(teaching.network, names)
    return tuple(replace(layer, index=on_curve.get(layer.name, layer.index)) for layer in found)
