"""One step of one study, in one transaction under the lock of its row.

Whatever is killed in between, the step was made or was not: a job and the trial that it belongs to are written
together, as are an ended trial and what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from distill.search import strategies
from distill.search.plan import Plan
from distill.search.strategy import Strategy
from store.repositories import quotas, studies
from store.settings import Settings
from store.tables import Study
from worker.studies import concluding
from worker.studies.asking import ask
from worker.studies.ledger import Ledger
from worker.studies.memory import Memory
from worker.studies.telling import tell


@dataclass
class Made:
    """What a step did. `jobs`: that are new, or to stop: somebody is to be told. `version`: number of the study's last
    event; None: look again, for another has it, or its tenant's queue is full."""

    jobs: list[str] = field(default_factory=list)
    version: int | None = None


def strategy_of(study: Study, of: Plan) -> Strategy:
    made: Strategy = strategies.get(study.strategy)(of, **study.strategy_parameters)
    return made


def step(session: Session, settings: Settings, study_id: str, memory: Memory | None = None) -> Made:
    """Tell what ended, give up what does not promise, queue what is next. `memory`: of the steps before, which changes
    nothing but what is read."""
    study = studies.take(session, study_id)
    if study is None:
        return Made()
    if quotas.of(session, settings, study.tenant_id).queued_jobs:
        quotas.lock(session, study.tenant_id)  # before any job: nobody locks a tenant behind a job
    memory = memory or Memory()
    ledger = Ledger(study, memory.trials(session, study), memory)
    strategy = strategy_of(study, ledger.plan)
    made = Made(sorted(tell(session, ledger, strategy)))
    full = False
    if study.status == "running":
        full = _go_on(session, settings, ledger, strategy, made)
    elif study.status == "cancelling" and not ledger.active():
        concluding.cancelled(session, study)
    session.refresh(study)
    made.version = None if full else study.event_seq
    return made


def _go_on(session: Session, settings: Settings, ledger: Ledger, strategy: Strategy, made: Made) -> bool:
    """Whether the queue was full."""
    for _ in ("searching", "confirming"):
        new, full = ask(session, settings, ledger, strategy)
        made.jobs += new
        if ledger.active() or full:
            return full
        concluding.conclude(session, ledger)
        if ledger.study.status != "running":
            break
    return False
