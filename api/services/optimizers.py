"""Optimizers by name: torch's own, and timm's as workers have published them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from distill.errors import UnknownName
from distill.optimisation import OWN, Facts, runnable
from store.repositories import system

KIND = "optimizer"


def entries(session: Session) -> list[dict[str, Any]]:
    """{name, momentum, nesterov} of every optimizer that a job may use, by name."""
    found = {entry["name"]: entry for entry in system.catalogue(session, KIND) if not entry["refused"]}
    own = {name: {"name": name, "momentum": facts.momentum, "nesterov": facts.nesterov} for name, facts in OWN.items()}
    return [(found | own)[name] for name in sorted(found | own)]


def facts(session: Session, name: str) -> Facts:
    """What the optimizer has. Raises `UnknownName` with near names, and `InvalidConfig` for one that cannot run."""
    if name in OWN:
        return OWN[name]
    entry = system.catalogue_entry(session, KIND, name)
    if not entry:
        raise UnknownName(KIND, name, [each["name"] for each in entries(session)])
    return runnable(entry)
