"""The tried points as an Optuna study in memory: what a strategy knows is what our own tables hold.

A sampler is made anew for every question, seeded by the search's seed, the point's number and the attempt. So the
answer depends on these and on what was tried, and on no process: after a restart it is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from distill.search.plan import Plan, Tried
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
    made = optuna.create_study(study_name=f"seed {plan.seed}", sampler=sampler, directions=directions)
    for each in tried:
        made.add_trial(_trial(plan, each, len(directions)))
    return made


def _trial(plan: Plan, tried: Tried, objectives: int) -> FrozenTrial:
    state, values = _STATES[tried.state], tried.values
    if state == TrialState.PRUNED and objectives > 1:
        state = TrialState.FAIL  # Optuna ranks pruned trials by one objective only
    domains = [plan.space.by_pointer[pointer] for pointer in tried.assignment]
    return create_trial(
        state=state,
        values=None if state != TrialState.COMPLETE or values is None else values[:objectives],
        params={domain.pointer: _inside(domain, tried.assignment[domain.pointer]) for domain in domains},
        distributions={domain.pointer: distribution(domain) for domain in domains},
        intermediate_values=dict(tried.reported),
        system_attrs=dict(tried.marks),
    )


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
    trial, ended = known.trials[number], False
    running, told = optuna.Trial(known, trial._trial_id), set(trial.intermediate_values)
    for step in sorted(set(reported) - told):
        running.report(reported[step], step)
        ended = ended or pruner.prune(known, known.get_trials(deepcopy=False)[number])
    after = known.trials[number]
    return ended, Tried({}, "running", None, dict(after.intermediate_values), dict(after.system_attrs))
