"""What is tried next, as far as budget, room and queue allow."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.orm import Session

from distill.search.strategy import Strategy
from store.repositories import quotas, studies, trials
from store.settings import Settings
from store.tables import Study, Trial
from worker.studies import making
from worker.studies.ledger import BASE, CONFIRMATION, SEARCH, Ledger


def ask(session: Session, settings: Settings, ledger: Ledger, strategy: Strategy) -> tuple[list[str], bool]:
    """Queue what is next; ids of the new jobs, and whether it is the queue's quota that keeps more from it. The
    tenant's row must be locked, where it has a quota."""
    room = ledger.study.budget["parallel"] - len(ledger.active())
    free = queue_room(session, settings, ledger.study.tenant_id)
    made: list[str] = []
    following = _confirming(ledger) if ledger.study.phase == "confirming" else _searching(session, ledger, strategy)
    while len(made) < room:
        if len(made) >= free:
            return made, True
        trial = next(following, None)
        if trial is None:
            break
        ledger.add(trial)
        job_id = making.start(session, ledger.study, trial)
        made += [job_id] if job_id is not None else []
    return made, False


def queue_room(session: Session, settings: Settings, tenant_id: str) -> float:
    """How many jobs more the tenant may queue."""
    most = quotas.of(session, settings, tenant_id).queued_jobs
    return float("inf") if not most else most - quotas.queued(session, tenant_id)


def _trial(ledger: Ledger, configuration: int, assignment: dict[str, object], seed: int, purpose: str) -> Trial:
    return Trial(
        study_id=ledger.study.id,
        number=len(ledger.trials),
        configuration=configuration,
        seed=seed,
        purpose=purpose,
        assignment=assignment,
        digest=making.digest(ledger.study, assignment),
        state="active",
        reported={},
        marks={},
    )


# ---- searching


def _searching(session: Session, ledger: Ledger, strategy: Strategy) -> Iterator[Trial]:
    """First the base job, then what is owed, then new points."""
    while _affords(session, ledger, 1):
        if BASE not in ledger.configurations:
            yield _trial(ledger, BASE, {}, ledger.study.seeds[0], SEARCH)
            continue
        owed = next(ledger.owed(strategy.prunes), None)
        if owed is not None:
            yield _trial(ledger, owed[0].number, owed[0].assignment, owed[1], SEARCH)
            continue
        needed = 1 if strategy.prunes else len(ledger.study.seeds)
        found = _new_point(session, ledger, strategy) if _affords(session, ledger, needed) else None
        if found is None:
            return
        yield _trial(ledger, len(ledger.configurations), found, ledger.study.seeds[0], SEARCH)


def _affords(session: Session, ledger: Ledger, more: int) -> bool:
    """Whether the budget has room for so many trials more."""
    most, minutes = ledger.study.budget["trials"], ledger.study.budget["minutes"]
    if most is not None and ledger.searched() + more > most:
        return False
    return minutes is None or used_minutes(session, ledger) < minutes


def used_minutes(session: Session, ledger: Ledger) -> float:
    """Device time of the trials so far, those that run included."""
    running = trials.seconds(session, [trial.job_id for trial in ledger.active() if trial.job_id is not None])
    ended = sum(trial.seconds or 0.0 for trial in ledger.trials if trial.state != "active")
    return (ended + sum(running.values())) / 60


def _new_point(session: Session, ledger: Ledger, strategy: Strategy) -> dict[str, object] | None:
    """The strategy's next point whose job was not tried; None once there is none. The space is used up when no run is
    judged any more either: one that is not given up owes its other seeds, for which there may be no budget yet."""
    study: Study = ledger.study
    if study.exhausted:
        return None
    known = {trial.digest for trial in ledger.trials}
    for assignment in strategy.proposals(ledger.history(strategy.prunes)):
        if making.digest(study, assignment) not in known:
            return assignment
    if not (strategy.prunes and any(ledger.judges(trial) for trial in ledger.active())):
        studies.write(session, study, exhausted=True)
    return None


# ---- confirming


def _confirming(ledger: Ledger) -> Iterator[Trial]:
    """Winner and base job with the fresh seeds, in pairs."""
    result = ledger.study.result or {}
    for seed in result["fresh_seeds"]:
        for number in (result["winner"], BASE):
            known = ledger.configurations[number]
            if seed not in {trial.seed for trial in known.of(CONFIRMATION)}:
                yield _trial(ledger, number, known.assignment, seed, CONFIRMATION)
