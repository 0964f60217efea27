"""How each detector answers, by its architecture alone: told before any network is built. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from distill import recipes
from distill.errors import InvalidConfig
from distill.tasks.detect_objects import SPEC
from distill.types import Architecture, DistillConfig
from distill.vision_folder import DETECTOR_NAMES


@dataclass(frozen=True, slots=True)
class Kind:
    """`title`: what answers, for people. `averages`: whether outputs of several networks may be averaged. `pairs`:
    whether two networks of this kind answer at the same places. `suppresses`: whether boxes that overlap are several
    answers for one object, of which the best stays."""

    title: str
    averages: bool = True
    pairs: bool = True
    suppresses: bool = True


POINTS = Kind("points (FCOS)")
SIGMOIDS = Kind("anchors with sigmoids (RetinaNet)")
DEFAULT_BOXES = Kind("default boxes with a softmax (SSD)")
PROPOSALS = Kind("proposals (Faster R-CNN)", averages=False)
QUERIES = Kind("object queries (RT-DETR, D-FINE)", averages=False, pairs=False, suppresses=False)

_OWN = "retort:fcos"
_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        _OWN: POINTS,
        "torchvision:fcos_resnet50_fpn": POINTS,
        "torchvision:retinanet_resnet50_fpn": SIGMOIDS,
        "torchvision:ssdlite320_mobilenet_v3_large": DEFAULT_BOXES,
        "torchvision:fasterrcnn_resnet50_fpn": PROPOSALS,
        **dict.fromkeys(DETECTOR_NAMES, QUERIES),
    }
)


def kind_of(architecture: Architecture) -> Kind | None:
    """None for what is no detector."""
    return _KINDS.get(architecture.name)


def strides_of(architecture: Architecture) -> tuple[int, ...]:
    """Strides of the levels that answer, as pixels of the input; () where they are not told here."""
    if architecture.name == _OWN:
        finest = architecture.options.get("finest", 8)
        return tuple(stride for stride in (4, 8, 16, 32) if isinstance(finest, int) and stride >= finest)
    return (8, 16, 32, 64, 128) if kind_of(architecture) in (POINTS, SIGMOIDS) else ()


def places_of(architecture: Architecture, side: int) -> int:
    """Cells of all levels of an input of `side` x `side` pixels; 0 where its strides are not told here."""
    return sum((-(-side // stride)) ** 2 for stride in strides_of(architecture))


def unequal(
    config: DistillConfig, student: tuple[Architecture, int], teacher: tuple[Architecture, int]
) -> InvalidConfig | None:
    """Why logits cannot be paired with those of a teacher that sees another size: each with the side of its input."""
    ours, theirs = places_of(*student), places_of(*teacher)
    if not ours or not theirs or ours == theirs or not reads_logits(config):
        return None
    return InvalidConfig(
        f"Student and teacher do not answer at the same places: the student has {ours:,} cells at {student[1]} x "
        f"{student[1]} pixels, the teacher {theirs:,} at {teacher[1]} x {teacher[1]}. Their logits cannot be paired.",
        f"Leave image_size out, or set it to {teacher[1]}; recipes that read features alone take any: {_others()}.",
        {"field": "image_size", "student": ours, "teacher": theirs},
    )


def reads_logits(config: DistillConfig) -> bool:
    """Whether the recipe learns from a teacher's logits."""
    needs = recipes.registry.flag(config.recipe, "needs_teacher", default=True)
    return needs and recipes.reads_logits(config.recipe, config.recipe_parameters)


def unpaired(config: DistillConfig, student: Architecture, teacher: Architecture) -> InvalidConfig | None:
    """Why a recipe that reads logits cannot pair the student's with this teacher's, as far as their names and options
    tell: detectors of different kinds, or whose levels differ; an average of answers that have no mean."""
    ours, theirs = kind_of(student), kind_of(teacher)
    if ours is None or theirs is None or not reads_logits(config):
        return None
    if what := _unlike(config.recipe, ours, theirs) or _uneven(strides_of(student), strides_of(teacher)):
        return refusal(what, student, teacher)
    return None


def refusal(what: str, student: Architecture, teacher: Architecture) -> InvalidConfig:
    """The same of what only the networks tell."""
    details: dict[str, Any] = {"field": "recipe", "student": student.name, "teacher": teacher.name}
    return InvalidConfig(what, f"Use a recipe that reads features alone: {_others()}.", details)


def _others() -> str:
    return ", ".join(recipes.reading_features(SPEC.offers))


def elsewhere(
    ours: tuple[int, ...], theirs: tuple[int, ...], student: Architecture, teacher: Architecture
) -> InvalidConfig:
    """The refusal of rows of other places: the shapes of the student's and the teacher's, (places, columns)."""
    return refusal(
        f"Student and teacher do not answer at the same places: {list(ours)} and {list(theirs)} (places, columns), or "
        "the same number of other ones. Their logits cannot be paired; the same image_size and strides (option finest) "
        "make them alike.",
        student,
        teacher,
    )


def _unlike(recipe: str, ours: Kind, theirs: Kind) -> str:
    if ours is not theirs:
        return f"The student answers by {ours.title}, the teacher by {theirs.title}: their logits cannot be paired."
    if not ours.pairs:
        return f"The {ours.title} of two detectors have no order in common: their logits cannot be paired."
    if recipes.averages(recipe) and not ours.averages:
        return f"{recipe} averages the answers of several networks; those of detectors by {ours.title} have no mean."
    return ""


def _uneven(ours: tuple[int, ...], theirs: tuple[int, ...]) -> str:
    """Levels pair where all strides differ by one factor at most."""
    if not ours or not theirs or (len(ours) == len(theirs) and ours[0] * theirs[-1] == ours[-1] * theirs[0]):
        return ""
    return (
        "Student and teacher do not answer at the same places: the student's levels have the strides "
        f"{', '.join(map(str, ours))}, the teacher's {', '.join(map(str, theirs))}. Their logits cannot be paired."
    )
