"""How fast this installation is, from the jobs that it has done; a stated default before there are any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from pydantic import ValidationError

from distill import tasks
from distill.errors import UnknownName
from distill.estimate import NetworkCost, SampleWork, Workload, head_flops, other_flops, training_flops
from distill.tasks.forecast import of
from distill.types import DistillConfig
from store.repositories.history import Run

#: Operations a second before anything was measured (our choice): two cores of a small server; a data-centre GPU.
CPU_FLOPS, GPU_FLOPS, DEFAULT_FACTOR = 2e10, 5e12, 10.0
#: How far a figure from other jobs may be off, beside their own spread (our choice).
SAME_FACTOR, OTHER_FACTOR = 1.5, 3.0
START_SECONDS = 30.0  # processes, imports, evaluation, packaging of a job that nothing is known of


@dataclass(frozen=True, slots=True)
class Seen:
    """One earlier job: operations a second while it trained, and while the last classifier was fitted (None: nobody
    measured that by itself, or there was no fit), and the seconds of all else."""

    flops_per_second: float
    head_flops_per_second: float | None
    other_seconds: float
    run: Run
    task: str


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds with their range."""

    seconds: float
    low: float
    high: float
    basis: str


def seen(runs: Iterable[Run]) -> list[Seen]:
    """Those of the runs whose results tell how long they trained on what."""
    found = []
    for run in runs:
        with suppress(
            KeyError, TypeError, UnknownName, ValidationError, ZeroDivisionError
        ):  # an older release's result
            found.append(_seen(run))
    return [each for each in found if each.flops_per_second > 0]


def _seen(run: Run) -> Seen:
    training, dataset = run.result["training"], run.result["dataset"]
    task = tasks.of_result(run.result)
    spec, rules = of(task)
    fields = {name: value for name, value in run.config.items() if name in DistillConfig.model_fields}
    config = DistillConfig.model_validate(fields | {"max_steps": max(1, training["steps"])})
    teacher, share = run.result["teacher"], rules.fed(dataset)
    work = Workload(
        config, _cost(run.result["student"], share), _cost(teacher, share) if teacher else None,
        False, dataset["train"], dataset["validation"], dataset["test"], SampleWork(0),
        classes=dataset.get("classes", 0), fits_head="fit_head" in spec.settings,
    )  # fmt: skip
    other = max(0.0, run.seconds - training["seconds"])
    return Seen(*_rates(work, training), other, run, task)


def _rates(work: Workload, training: dict[str, Any]) -> tuple[float, float | None]:
    """Operations a second of training, and of the fit behind it. `training["seconds"]` holds both; an older release's
    result does not tell them apart, and then all operations count as one kind."""
    head = training.get("head") or {}
    if not head.get("samples"):
        return training_flops(work) / training["seconds"], None
    fitted, seconds = head_flops(work), head.get("seconds")
    if not seconds or not fitted:
        return (training_flops(work) + fitted) / training["seconds"], None
    return training_flops(work) / (training["seconds"] - seconds), fitted / seconds


def _cost(column: dict[str, Any], share: float) -> NetworkCost:
    """Operations of one sample as it was fed (`Forecast.fed`)."""
    return NetworkCost(column["parameters"], round(column["flops"] * share), 0, 1)


def duration(
    work: Workload, task: str, student: dict[str, Any], recipe: str, known: Sequence[Seen], gpu: bool
) -> Duration:
    """Seconds from claim to end: training, and the last fit of the classifier, by operations, all else as in earlier
    jobs of the recipe."""
    known = _alike(known, task)
    same = [each for each in known if _same(each, work, student)]
    like = same or list(known)
    if not like:
        rate = GPU_FLOPS if gpu else CPU_FLOPS
        device = "a GPU" if gpu else "two CPU cores"
        seconds = START_SECONDS + (training_flops(work) + head_flops(work) + other_flops(work)) / rate
        basis = f"no job has been done here yet: {rate:.0e} operations a second, a guess for {device}"
        return Duration(seconds, seconds / DEFAULT_FACTOR, seconds * DEFAULT_FACTOR, basis)
    rates = [each.flops_per_second for each in like]
    factor = SAME_FACTOR if same else OTHER_FACTOR
    head, fit = _head(work, like, median(rates))
    other, basis = _other(work, recipe, like, median(rates))
    other += head
    seconds = training_flops(work) / median(rates) + other
    low = (training_flops(work) / max(rates) + other) / factor
    high = (training_flops(work) / min(rates) + other) * factor
    of = "with this student" if same else "with other students"
    basis = f"{median(rates):.2e} operations a second while training, in {len(like)} earlier jobs {of}; {fit}{basis}"
    return Duration(seconds, low, high, basis)


def _alike(known: Sequence[Seen], task: str) -> Sequence[Seen]:
    """Jobs of the task; where there are none, those of its modality; else all."""
    modality = tasks.spec(task).modality
    of_task = [each for each in known if each.task == task]
    return of_task or [each for each in known if tasks.spec(each.task).modality == modality] or known


def _same(seen: Seen, work: Workload, student: dict[str, Any]) -> bool:
    """The same student; of the same size too, where its name only says that it is of its teacher's family."""
    sizes = seen.run.result["student"]["parameters"], work.student.parameters
    named = tasks.spec(seen.task).container == "weights"
    return seen.run.student == student and (named or sizes[0] == sizes[1])


def _head(work: Workload, like: Sequence[Seen], rate: float) -> tuple[float, str]:
    """The classifier's last fit, in seconds; where none was measured its operations take as long as others do."""
    wanted = head_flops(work)
    if not wanted:
        return 0.0, ""
    measured = [each.head_flops_per_second for each in like if each.head_flops_per_second]
    seconds = wanted / (median(measured) if measured else rate)
    by = f"{len(measured)} of them" if measured else "its operations"
    return seconds, f"the classifier's last fit {seconds:.3g} s, by {by}; "


def _other(work: Workload, recipe: str, like: Sequence[Seen], rate: float) -> tuple[float, str]:
    """Scoring, evaluation, packaging, in seconds."""
    recipes = [each.other_seconds for each in like if each.run.recipe == recipe]
    if recipes:
        return median(recipes), f"all but training took {median(recipes):.0f} s in {len(recipes)} of recipe {recipe}"
    start = min(START_SECONDS, median(each.other_seconds for each in like))
    return start + other_flops(work) / rate, f"no earlier job of recipe {recipe} for what is not training"
