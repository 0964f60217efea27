"""Architectures by name, checked against what workers have published: the API itself cannot know without torch."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.errors.problems import Unavailable
from distill.errors import UnknownName
from distill.types import Architecture
from store.repositories import system

KIND = "architecture"
#: In this order a name without a library is looked for, as `distill.models` does.
LIBRARIES = ("timm", "torchvision", "retort")


def resolved(session: Session, architecture: Architecture) -> Architecture:
    """The architecture with its library in its name. Raises `UnknownName` with near names."""
    for name in _candidates(architecture.name):
        library, _, rest = name.partition(":")
        base = rest.partition(".")[0] if library == "timm" else rest  # a pretrained tag picks weights, not modules
        if system.in_catalogue(session, KIND, f"{library}:{base}"):
            return architecture.model_copy(update={"name": name})
    known = system.catalogue_names(session, KIND)
    if not known:
        raise no_catalogue()
    raise UnknownName("architecture", architecture.name, known if ":" in architecture.name else _bare(known))


def no_catalogue() -> Unavailable:
    """Nothing can be checked before the first worker has ever started."""
    remedy = "Start a worker (retort serve has one), then send the request again."
    detail = "No worker has published yet which architectures and datasets there are."
    return Unavailable(detail, remedy, code="no_catalogue", headers={"Retry-After": "5"})


def _candidates(name: str) -> list[str]:
    return [name] if ":" in name else [f"{library}:{name}" for library in LIBRARIES]


def _bare(names: list[str]) -> list[str]:
    return [name.partition(":")[2] for name in names]
