"""Networks that a recipe delivers beside the plain student, as a run's networks and for the exporters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torch import nn

from distill import offload
from distill.errors import InvalidConfig
from distill.export import Context
from distill.running.session import Session
from distill.tasks.network import Network


def companions(session: Session) -> dict[str, Network]:
    """By name; what the task cannot deliver, or what cannot be made, is named in `session.notes`."""
    networks = {name: replace(session.task.student, module=made, bytes=None) for name, made in _made(session).items()}
    unfit = {name: why for name, each in networks.items() if (why := session.task.undeliverable(each))}
    session.notes += [f"There is no {name} network in the artifacts: {why}." for name, why in unfit.items()]
    session.companions = {name: each for name, each in networks.items() if name not in unfit}
    return session.companions


def _made(session: Session) -> Mapping[str, nn.Module]:
    if session.recipe is None:
        return {}
    try:
        return session.recipe.companions()
    except InvalidConfig as error:  # hours of training do not end on it: the plain student is there
        session.notes.append(f"The network that the recipe's authors deploy could not be made: {error.message}")
        return {}


def companion_contexts(session: Session) -> Iterator[Context]:
    """What exporters are given of each, whose figures stand in the student's place."""
    for name, network in session.companions.items():
        offload.take_back(network.module)
        report = session.report | {"student": session.report["companions"][name]}
        yield replace(session.task.context(network, report), name=name)
