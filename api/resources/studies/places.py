"""Whether a space holds together by itself: its places, its bounds, its conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from api.resources.jobs.findings import Findings
from api.resources.studies.schemas import DomainIn
from distill.search.space import MERGED, canonical, escaped, parts
from distill.types import DistillConfig

#: Settings with members of their own, which may be varied one by one.
NESTED = frozenset({"recipe_parameters", "selection_parameters"})
FIELDS = tuple(name for name in DistillConfig.model_fields if name != "seed")
MOST_CHOICES = 300
PLACES = "Vary /config/..., /student, /student/name, /student/options/... or /teacher."


def check(findings: Findings, space: Mapping[str, DomainIn]) -> bool:
    """Note every place that there is not, every domain that is empty or contradicts itself, every condition that cannot
    be meant, and places that lie in each other; whether there was none."""
    before = len(findings)
    for pointer, domain in space.items():
        at = f"/space/{escaped(pointer)}"
        if not _known(findings, at, pointer):
            continue
        _check_domain(findings, at, pointer, domain)
        for place in domain.when or ():
            _check_condition(findings, f"{at}/when/{escaped(place)}", place, space)
    number = sum(len(domain.choices or ()) for domain in space.values())
    if number > MOST_CHOICES:
        message = f"The space has {number} choices; each is checked as a job, so that {MOST_CHOICES} are the most."
        findings.add("/space", message, "Use ranges, or vary less at once.")
    for outer, inner in _overlaps(space):
        message = f"{inner} lies in {outer}, which is varied too."
        findings.add(f"/space/{escaped(inner)}", message, "Vary one of the two, or put both into one.")
    return len(findings) == before


def _known(findings: Findings, at: str, pointer: str) -> bool:
    match parts(pointer):
        case ["config"] | ["student"] | ["student", "name"] | ["student", "options", _] | ["teacher"]:
            return True
        case ["config", "seed"]:
            findings.add(at, "The seed is not varied: every configuration has the study's seeds.", "Give `seeds`.")
            return False
        case ["config", name, *below] if name in FIELDS and (not below or (name in NESTED and len(below) == 1)):
            return True
        case ["config", name, *_] if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=2)
            hint = f"Did you mean {' or '.join(f'/config/{each}' for each in near)}? " if near else ""
            findings.add(at, f"There is no setting {name!r}.", hint + PLACES, "unknown_name")
            return False
    findings.add(at, f"{pointer!r} is no place of a job that a study can vary.", PLACES, "unknown_name")
    return False


def _check_domain(findings: Findings, at: str, pointer: str, domain: DomainIn) -> None:
    if domain.student is not None:
        findings.add(f"{at}/student", "A budget is for the student alone.", 'Give it at "/student".')
        return
    if domain.choices is not None:
        _check_choices(findings, at, pointer, domain)
        return
    if domain.low is None or domain.high is None:
        findings.add(at, "There are no values.", "Give choices, or low and high.")
        return
    for where, message in _contradictions(domain, domain.low, domain.high):
        findings.add(f"{at}/{where}", message, "Make the bounds agree, or give choices.")


def _check_choices(findings: Findings, at: str, pointer: str, domain: DomainIn) -> None:
    if domain.model_fields_set & {"low", "high", "step", "log", "integer"}:
        findings.add(at, "Choices have no bounds.", "Give choices, or low and high.")
    known = set[str]()
    for number, choice in enumerate(domain.choices or ()):
        where, same = f"{at}/choices/{number}", canonical(choice)
        if same in known:
            findings.add(where, "This choice is there twice.", "Name every choice once.")
        known.add(same)
        if pointer == MERGED and (not isinstance(choice, dict) or "seed" in choice):
            findings.add(where, "A choice at /config is an object of settings, without a seed.", 'E.g. {"layers": 2}.')
        if pointer == "/student" and isinstance(choice, dict) and "weights" in choice:
            message = "A student of the space has no weights of its own."
            findings.add(
                f"{where}/weights", message, "Name the weights in the base job: they are for all its students."
            )


def _contradictions(domain: DomainIn, low: float, high: float) -> Iterator[tuple[str, str]]:
    step = domain.step or (1.0 if domain.integer else None)
    if low >= high:
        yield "high", f"high = {high:g} is not above low = {low:g}: nothing is varied."
    if not math.isfinite(high - low):
        yield "high", f"From low = {low:g} to high = {high:g} it is further than a float reaches."
        return
    if domain.log and low <= 0:
        yield "low", f"low = {low:g} has no logarithm."
    if domain.log and domain.step is not None:
        yield "step", "A log range has no step."
    whole = {"low": low, "high": high, "step": step}
    for where, value in whole.items() if domain.integer else ():
        if value is not None and not value.is_integer():
            yield where, f"{where} = {value:g} is not whole, and the range is of whole numbers."
    if step is not None and low < high and not domain.log:
        count = (high - low) / step
        if not math.isfinite(count) or abs(count - round(count)) > 1e-6 or count < 0.5:
            yield "step", f"From low = {low:g} no whole number of steps of {step:g} leads to high = {high:g}."


def _check_condition(findings: Findings, at: str, place: str, space: Mapping[str, DomainIn]) -> None:
    if not _known(findings, at, place):
        return
    if place in space and space[place].when is not None:
        message = f"A condition cannot hang on {place}, which has one itself."
        findings.add(at, message, "Put both into the choices of one place.")
    elif place in space and space[place].choices is None:
        findings.add(at, f"{place} is a range: no single value of it can be a condition.", "Use a place with choices.")


def _overlaps(space: Mapping[str, DomainIn]) -> Iterator[tuple[str, str]]:
    for outer, domain in space.items():
        for inner in space:
            if inner.startswith(f"{outer}/") and (outer != MERGED or _sets(domain, parts(inner)[1:])):
                yield outer, inner


def _sets(domain: DomainIn, names: list[str]) -> bool:
    """Whether a choice at /config says itself what is at the place."""
    return any(_holds(choice, names) for choice in domain.choices or ())


def _holds(value: Any, names: list[str]) -> bool:
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True
