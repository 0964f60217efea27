"""Registry of every recipe: one file an entry, named by its file. Listing imports no torch."""

from collections.abc import Callable, Mapping
from typing import Any

from distill.registry import Registry

registry = Registry(__name__, __path__, "recipe")
names = registry.names
get = registry.get


def features_alone(name: str) -> dict[str, Any] | None:
    """Parameters, any one of which lets the recipe learn without the teacher's logits; {}: it never reads them;
    None: it always does. Imports nothing. Raises `UnknownName`."""
    if not registry.flag(name, "reads_logits", default=True):
        return {}
    return registry.attribute(name, "features_alone", {}) or None


def reads_logits(name: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the recipe, with these parameters, learns from the teacher's logits, and so wants a teacher that knows
    the dataset's classes. Imports nothing. Raises `UnknownName`."""
    alone = features_alone(name)
    if alone is None:
        return True
    told = registry.parameters(name)
    return bool(alone) and all(parameters.get(key, told[key].get("default")) != value for key, value in alone.items())


def without(*flags: str) -> tuple[str, ...]:
    """The recipes that have none of these flags of `Recipe`: what a task offers that cannot offer the others. Imports
    nothing."""
    return tuple(name for name in names() if not any(registry.flag(name, flag, default=False) for flag in flags))


def reading_features(offered: Callable[[str], bool]) -> list[str]:
    """Of the recipes that are `offered` those that learn from a teacher without its logits, each with the parameters
    that it takes for that, for people: `feature_only`, `feature_logit with kl: false`. Imports nothing."""
    learning = [name for name in names() if offered(name) and registry.flag(name, "needs_teacher", default=True)]
    alone = [(name, found) for name in learning if (found := features_alone(name)) is not None]
    return [name if not found else f"{name} with {_some_of(found)}" for name, found in alone]


def _some_of(parameters: Mapping[str, Any]) -> str:
    return " or ".join(f"{key}: {str(value).lower()}" for key, value in parameters.items())


def several_teachers(name: str) -> bool:
    """Whether the recipe learns from a set of teachers as from one. Imports nothing. Raises `UnknownName`."""
    return registry.flag(name, "several_teachers", default=False)


def averages(name: str) -> bool:
    """Whether the recipe compares the mean of several networks' answers, and so wants answers that have one. Imports
    nothing. Raises `UnknownName`."""
    return registry.flag(name, "averages", default=False)


def needs_labels(name: str) -> bool:
    """Whether the recipe learns nothing from samples without labels. Imports nothing. Raises `UnknownName`."""
    return registry.flag(name, "needs_labels", default=False)


def needs_index(name: str) -> bool:
    """Whether the recipe keeps something of every training sample, and so has no loss on others. Imports nothing.
    Raises `UnknownName`."""
    return registry.flag(name, "needs_index", default=False)


def wants_some_labels(name: str) -> bool:
    """Whether the recipe refuses data without any label: it learns from labels, or has no other loss on held-out
    samples that could tell the best student. Imports nothing. Raises `UnknownName`."""
    return needs_labels(name) or needs_index(name)


def remembered(name: str, given: Mapping[str, Any]) -> int:
    """Values (fp32) that the recipe keeps of every training sample, with these parameters. Imports nothing. Raises
    `UnknownName`."""
    told = registry.parameters(name)
    found: dict[str, int] = registry.attribute(name, "remembers", {})
    return sum(count * given.get(key, told[key].get("default")) for key, count in found.items())


def without_labels(offered: Callable[[str], bool]) -> list[str]:
    """Of the recipes that are `offered` those that learn from data without any label, as `reading_features` words them:
    there a student has no classifier, and a teacher's logits nothing to compare with. Imports nothing."""
    return reading_features(lambda name: offered(name) and not wants_some_labels(name))
