"""The end of a study: who won, whether fresh seeds confirm it, and the test figures of what is reported."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from distill.search import objectives
from distill.search.statistics import paired
from store.repositories import studies, study_events, trials
from store.tables import Study
from worker.studies.ledger import BASE, CONFIRMATION, Configuration, Ledger

NOTHING: dict[str, Any] = {
    "code": "no_trial_succeeded",
    "message": "No trial of the study ran to its end within the limits of the objectives.",
    "remedy": "Look at the errors of its trials' jobs; loosen the limits, or change the base job.",
    "fault": "user",
    "retryable": False,
    "details": {},
}


ALONE = "The search ended before any configuration was tried beside the base job: nothing was compared."


def conclude(session: Session, ledger: Ledger) -> None:
    """Nothing is active and nothing more is asked: go on to the confirmation, or end."""
    study = ledger.study
    if study.phase == "confirming":
        _succeed(session, ledger, study.result or {})
        return
    winner = ledger.winner()
    if winner is None:
        studies.move(session, study, "failed", error=NOTHING)
        return
    result = {"winner": winner.number, "base_is_best": winner.number == BASE, "fresh_seeds": []}
    if winner.number == BASE or not study.confirm:
        _succeed(session, ledger, result)
        return
    fresh = 1 + max([*study.seeds, *(trial.seed for trial in ledger.trials)])
    result["fresh_seeds"] = list(range(fresh, fresh + study.confirm))
    studies.write(session, study, phase="confirming", result=result)
    study_events.append(session, study.id, "phase", {"phase": "confirming", "winner": winner.number})


def _succeed(session: Session, ledger: Ledger, result: dict[str, Any]) -> None:
    winner = ledger.configurations[result["winner"]]
    result = result | _confirmation(ledger, winner, set(result["fresh_seeds"])) | _bought(ledger)
    _note_test(session, ledger.study.id, [winner, ledger.configurations[BASE]])
    studies.move(session, ledger.study, "succeeded", result=result)


def _bought(ledger: Ledger) -> dict[str, Any]:
    """What the study says of its student's budget, where it has one."""
    if ledger.bought is None:
        return {}
    return {"student_budget": ledger.bought.answer(ledger.trained(), ledger.first.maximised)}


def _confirmation(ledger: Ledger, winner: Configuration, fresh: set[int]) -> dict[str, Any]:
    """The difference on the fresh seeds alone: those that chose the winner flatter it."""
    name, higher = ledger.first.name, ledger.first.maximised
    ours, theirs = (
        {seed: value for seed, value in known.by_seed(name, CONFIRMATION).items() if seed in fresh}
        for known in (winner, ledger.configurations[BASE])
    )
    found = paired(ours, theirs, higher) if fresh else None
    confirmed = found is not None and found.verdict == "better"
    return {
        "confirmed": confirmed,
        "difference": found.to_dict() if found else None,
        "reading": _reading(winner, found) if len(ledger.configurations) > 1 else ALONE,
    }


def _reading(winner: Configuration, found: Any) -> str:
    if winner.number == BASE:
        return "No configuration had a better mean than the base job."
    begin = f"Configuration {winner.number} had the best mean of the search"
    if found is None:
        return f"{begin}. No fresh seeds confirmed it, so that part of its lead may be luck."
    if found.low is None:
        seeds = "One fresh seed says" if found.n == 1 else f"{found.n} fresh seeds with equal differences say"
        return f"{begin}. {seeds} nothing of the noise: it is not confirmed."
    span = f"{found.mean:+.4g} against the base job on {found.n} fresh seeds ({found.low:+.4g} to {found.high:+.4g})"
    if found.verdict == "better":
        return f"{begin}, and is better: {span}."
    if found.verdict == "worse":
        return f"{begin}, and is worse on fresh seeds: {span}."
    return f"{begin}, but is within noise: {span}."


def _note_test(session: Session, study_id: str, reported: list[Configuration]) -> None:
    numbers = {trial.number for known in reported for trial in known.trials if trial.state == "succeeded"}
    rows = [trial for trial in trials.of(session, study_id, "succeeded") if trial.number in numbers]
    found = trials.jobs_of(session, rows)
    for trial in rows:
        job = found.get(trial.job_id or "")
        trial.test = objectives.test_figures(job.result or {}) if job is not None else None
    session.flush()


def cancelled(session: Session, study: Study) -> None:
    """Its trials have ended: so has the study."""
    studies.move(session, study, "cancelled")
