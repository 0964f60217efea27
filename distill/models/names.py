"""Which architectures there are, without instantiating any.

timm and torchvision take two seconds of processor time to import, more than torch itself, so they are imported where
they are asked: a run whose networks are ours never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from distill.errors import UnknownName
from distill.models import segformer, small
from distill.models.detectors import DETECTORS
from distill.vision_folder import DETECTORS as QUERYING
from distill.vision_folder import FAMILIES

Library = Literal["timm", "torchvision", "retort", "transformers"]
LIBRARIES: tuple[Library, ...] = ("timm", "torchvision", "retort", "transformers")
SEARCHED: tuple[Library, ...] = ("timm", "torchvision", "retort")
"""Libraries of names that are given without one."""
FPN, FCOS = "fpn", "fcos"
"""`retort:fpn`, our network for masks (`distill.models.fpn`), and `retort:fcos`, our detector (`distill.models.fcos`).
"""
PYRAMIDS = frozenset({FPN, FCOS})
"""Those of ours whose option `backbone` is a timm network."""


@dataclass(frozen=True, slots=True)
class Name:
    """A resolved name. `name` is the library's own; for timm it may carry a pretrained tag (`resnet34.a1_in1k`)."""

    library: Library
    name: str

    def __str__(self) -> str:
        return f"{self.library}:{self.name}"


def resolve(text: str) -> Name:
    """The architecture that `text` names, its library given (`timm:resnet34`) or found (`resnet34`). transformers'
    names are those of whole families (`resnet`), and are known with their library alone.

    Raises `UnknownName` with near names. Prefixes that make timm fetch something (`hf-hub:`) are unknown names.
    """
    prefix, colon, rest = text.partition(":")
    for library in LIBRARIES:
        if (prefix == library if colon else library in SEARCHED) and _has(library, rest if colon else text):
            return Name(library, rest if colon else text)
    known = names() if colon else [name.partition(":")[2] for name in names()]
    raise UnknownName("architecture", text, known)


def _has(library: Library, name: str) -> bool:
    if library == "timm":
        base, _, tag = name.partition(".")
        return base in _listed("timm") and (not tag or name in _tagged())
    return name in _listed(library)


@cache
def _listed(library: Library) -> frozenset[str]:
    if library == "timm":
        import timm

        return frozenset(timm.list_models())
    if library == "torchvision":
        import torchvision.models

        return frozenset(torchvision.models.list_models(module=torchvision.models)) | _segmenters() | set(DETECTORS)
    if library == "retort":
        return frozenset({*small.FAMILY, *PYRAMIDS})
    return frozenset({segformer.NAME, *FAMILIES, *QUERYING} if segformer.available() else ())


@cache
def _segmenters() -> frozenset[str]:
    """torchvision's networks for masks."""
    import torchvision.models

    return frozenset(torchvision.models.list_models(module=torchvision.models.segmentation))


@cache
def _tagged() -> frozenset[str]:
    import timm

    return frozenset(timm.list_models(pretrained=True))


def is_dense(name: Name) -> bool:
    """Whether the network answers for every place of the image, and so looks at it whole: (n, c, h, w) -> logits
    (n, C, h', w') of every pixel, or rows of every place at which a detector answers."""
    if name.library == "torchvision":
        return name.name in _segmenters() or name.name in DETECTORS
    return name.name in PYRAMIDS if name.library == "retort" else name.name in (segformer.NAME, *QUERYING)


@cache
def names() -> tuple[str, ...]:
    """Every architecture as `library:name`, sorted within timm, torchvision, retort, transformers."""
    return tuple(f"{library}:{name}" for library in LIBRARIES for name in sorted(_listed(library)))


def catalogue() -> list[dict[str, str]]:
    """`{"name": "timm:resnet34", "library": "timm", "family": "resnet"}` for every network of images there is.

    The family is the library's own module. Instantiates nothing: a few milliseconds after the libraries' import.
    torchvision's video and quantised models are left out, and its detectors but those of `DETECTORS`: no task here
    takes them.
    """
    return [{"name": name, "library": name.partition(":")[0], "family": family(name)} for name in names()]


def family(text: str) -> str:
    """The module in the architecture's library that defines it, e.g. `vision_transformer`."""
    name = resolve(text)
    if name.library == "transformers" or name.name in PYRAMIDS:
        return name.name
    if name.library == "retort":
        return small.FAMILY[name.name].family
    if name.library == "timm":
        import timm

        builder = timm.model_entrypoint(name.name.partition(".")[0])
    else:
        import torchvision.models

        builder = torchvision.models.get_model_builder(name.name)
    return str(builder.__module__.rpartition(".")[2])
