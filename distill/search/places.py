"""What configurations have at the places that a study varies: as numbers, as values by which to tell them apart, and in
words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from distill.search.bought import STUDENT
from distill.search.space import MERGED, Domain, Json, Space, canonical, escaped, look, merged, parts
from distill.types import DistillConfig

TEACHER = "/teacher"
FEW = 8
"""Values of a place by which configurations are told apart: as many as there are colours that all can tell apart."""


class Places:
    """Of one study: the places of its space, and those below a place whose choices are objects. `teachers`: id ->
    name."""

    def __init__(self, space: Space, base: Json, teachers: Mapping[str, str] | None = None) -> None:
        self._space, self._base, self._teachers = space, base, teachers or {}
        self._configs: dict[str, Json] = {}
        self._below = {leaf: domain for domain in space.domains for leaf in _leaves(domain)}
        self.pointers = tuple(dict.fromkeys([*space.by_pointer, *self._below]))

    def value(self, assignment: Mapping[str, Any], pointer: str) -> Any:
        """What the configuration's job has there; None where there is nothing."""
        if pointer in assignment:
            return assignment[pointer]
        outer = self._below.get(pointer)
        if outer is not None and outer.pointer in assignment and outer.pointer != MERGED:
            return look(assignment[outer.pointer], pointer.removeprefix(outer.pointer))
        if pointer == MERGED:
            return self._chosen()
        if pointer.startswith(f"{MERGED}/"):
            return look({"config": self._config(assignment.get(MERGED))}, pointer)
        return look(self._base, pointer)

    def number(self, assignment: Mapping[str, Any], pointer: str) -> float | None:
        """The same as a number; None where it is none."""
        return as_number(self.value(assignment, pointer))

    def values(self, pointer: str) -> list[Any] | None:
        """All that configurations may have there, in the order of the space, then what the base job has; None where
        they are more than `FEW`."""
        domain = self._space.by_pointer.get(pointer)
        found = [] if domain is None else _few(domain)
        if found is None:
            return None
        if domain is None:
            choices = self._below[pointer].choices or ()
            found = [self.value({self._below[pointer].pointer: choice}, pointer) for choice in choices]
        different = {canonical(value): value for value in [*found, self.value({}, pointer)]}
        return list(different.values()) if len(different) <= FEW else None

    def numeric(self, pointer: str) -> bool:
        """Whether it is varied over at least two numbers."""
        domain = self._space.by_pointer.get(pointer)
        if domain is not None and domain.choices is None:
            return True
        domain = domain or self._below[pointer]
        found = {self.number({domain.pointer: choice}, pointer) for choice in domain.choices or ()}
        return len(found - {None}) > 1

    def distinct(self, pointer: str) -> bool:
        """Whether it has few values, and more than one: series can be made of it."""
        found = self.values(pointer)
        return found is not None and len(found) > 1

    def words(self, pointer: str, value: Any) -> str:
        """A value for people."""
        if value is None and pointer == MERGED:
            return "as in the base job"
        if pointer == TEACHER and isinstance(value, list):
            return ", ".join(self._teachers.get(str(each), str(each)) for each in value) or "none"
        return in_words(value)

    def _chosen(self) -> Any:
        """The choice at `/config` that says what the base job has anyway."""
        choices = self._space.by_pointer[MERGED].choices or ()
        return next((choice for choice in choices if self._config(choice) == self._config(None)), None)

    def _config(self, choice: Any) -> Json:
        """All settings of a job whose place `/config` has this choice (None: none), with what preset and defaults fill
        in."""
        key = canonical(choice)
        if key not in self._configs:
            given = self._base["config"] if choice is None else merged(self._base["config"], choice)
            try:
                self._configs[key] = DistillConfig.model_validate(given).model_dump(mode="json")
            except ValidationError:  # what no job takes: it has no runs, but stands among the values
                self._configs[key] = given
        return self._configs[key]


def _few(domain: Domain) -> list[Any] | None:
    """The domain's values where they are few."""
    return list(domain.values()) if domain.size() <= 2 * FEW else None


def _leaves(domain: Domain) -> Iterator[str]:
    """Places below the domain's that its choices name."""
    for choice in domain.choices or ():
        if isinstance(choice, Mapping):
            yield from _named(domain.pointer, choice)


def _named(pointer: str, value: Mapping[str, Any]) -> Iterator[str]:
    for name, member in value.items():
        place = f"{pointer}/{escaped(name)}"
        if isinstance(member, Mapping):
            yield from _named(place, member)
        else:
            yield place


def as_number(value: Any) -> float | None:
    """None of what is no finite number."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None


def name(pointer: str) -> str:
    """`/config/learning_rate` -> `learning_rate`."""
    return parts(pointer)[-1]


def in_words(value: Any) -> str:
    """`retort:resnet8 (width 6)` of a network, `recipe logit, layers 2` of settings, `a, b` of a list."""
    if isinstance(value, Mapping):
        if set(value) == {"name", "options"} and isinstance(value["options"], Mapping):
            options = in_words(value["options"]) if value["options"] else ""
            return f"{value['name']} ({options})" if options else str(value["name"])
        return ", ".join(f"{key} {in_words(member)}" for key, member in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(in_words, value)) or "none"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def of_student(pointer: str) -> bool:
    """Whether the place says what the student is."""
    return pointer == STUDENT or pointer.startswith(f"{STUDENT}/")
