"""The tried points as an Optuna study in memory: what a strategy knows is what our own tables hold.

A sampler is made anew for every question, seeded by the search's seed, the point's number and the attempt. So the
answer depends on these and on what was tried, and on no process: after a restart it is the same. A process keeps the
trials that it has made for a study, and makes anew those of points that have changed.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from distill.search.plan import Plan, Tried
from distill.search.recalled import Recalled
from distill.search.space import Assignment, Domain, same

optuna.logging.set_verbosity(optuna.logging.WARNING)
_STATES = {
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def seed_of(plan: Plan, number: int, attempt: int) -> int:
    """A sampler's seed, in [0, 2^32)."""
    digest = hashlib.sha256(f"{plan.seed} {number} {attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def study(
    plan: Plan, tried: Sequence[Tried], sampler: BaseSampler | None = None, several: bool = False
) -> optuna.Study:
    """The points in their order. `several`: with all objectives; else with the first alone, which pruning asks for."""
    directions = list(plan.directions) if several else [plan.directions[0]]
    # Hyperband deals trials to its brackets by the study's name.
    storage = Recalled(_trials(plan, tried, len(directions)))
    return optuna.create_study(storage=storage, study_name=f"seed {plan.seed}", sampler=sampler, directions=directions)


MOST_KEPT = 16
"""Studies whose trials a process keeps."""
_Made = list[tuple[Tried, FrozenTrial]]
_kept: OrderedDict[tuple[str, int], _Made] = OrderedDict()
_lock = Lock()


def _trials(plan: Plan, tried: Sequence[Tried], objectives: int) -> list[FrozenTrial]:
    """Of every point its trial: as it was made before, if the point is as it was."""
    distributions = {domain.pointer: distribution(domain) for domain in plan.space.domains}
    with _lock:
        made: _Made = _kept.pop((plan.key, objectives), []) if plan.key else []
        for number, each in enumerate(tried):
            if number >= len(made) or (made[number][0] is not each and made[number][0] != each):
                made[number : number + 1] = [(each, _trial(plan, number, each, objectives, distributions))]
        if plan.key:
            _kept[plan.key, objectives] = made
            while len(_kept) > MOST_KEPT:
                _kept.popitem(last=False)
        return [trial for _, trial in made[: len(tried)]]


def _trial(
    plan: Plan, number: int, tried: Tried, objectives: int, distributions: dict[str, BaseDistribution]
) -> FrozenTrial:
    state, values = _STATES[tried.state], tried.values
    if state == TrialState.PRUNED and objectives > 1:
        state = TrialState.FAIL  # Optuna ranks pruned trials by one objective only
    told = None if state != TrialState.COMPLETE or values is None else list(values[:objectives])
    return FrozenTrial(
        number, state, None, None, None,
        {pointer: _inside(plan.space.by_pointer[pointer], value) for pointer, value in tried.assignment.items()},
        {pointer: distributions[pointer] for pointer in tried.assignment},
        {}, dict(tried.marks), dict(tried.reported), number, values=told,
    )  # fmt: skip


def distribution(domain: Domain) -> BaseDistribution:
    """Choices by their number: Optuna keeps no lists and objects."""
    if domain.choices is not None:
        return CategoricalDistribution(tuple(range(len(domain.choices))))
    if domain.integer:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log, step=int(domain.step or 1))
    return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)


def _inside(domain: Domain, value: object) -> object:
    if domain.choices is None:
        return value
    return next(number for number, choice in enumerate(domain.choices) if same(choice, value))


def ask(plan: Plan, asked: optuna.Study) -> Assignment:
    """The point that the study's sampler suggests."""
    trial, found = asked.ask(), Assignment()
    for domain in plan.space.domains:
        if plan.space.varies(domain, plan.base, found):
            found[domain.pointer] = _suggest(trial, domain)
    return found


def _suggest(trial: optuna.Trial, domain: Domain) -> object:
    if domain.choices is not None:
        return domain.choices[trial.suggest_categorical(domain.pointer, tuple(range(len(domain.choices))))]
    if domain.integer:
        step = int(domain.step or 1)
        return trial.suggest_int(domain.pointer, int(domain.low), int(domain.high), log=domain.log, step=step)
    return trial.suggest_float(domain.pointer, domain.low, domain.high, log=domain.log, step=domain.step)


def prune(pruner: BasePruner, known: optuna.Study, number: int, reported: dict[int, float]) -> tuple[bool, Tried]:
    """Tell the point `number` of the study its new validations, one after the other, and ask the pruner after each
    until it gives the point up. Whether it does, and the point as it is then. A decision hangs on the values alone, not
    on how many came at once."""
    trial, ended = known.get_trials(deepcopy=False)[number], False
    running, told = optuna.Trial(known, trial._trial_id), set(trial.intermediate_values)
    for step in sorted(set(reported) - told):
        running.report(reported[step], step)
        ended = ended or pruner.prune(known, known.get_trials(deepcopy=False)[number])
    after = known.get_trials(deepcopy=False)[number]
    return ended, Tried({}, "running", None, dict(after.intermediate_values), dict(after.system_attrs))
