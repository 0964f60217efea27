"""Answers how large networks are, for estimates of jobs: the API must not load torch to know it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from distill.tasks.chains_counted import from_known, remembered
from store.database import Database
from store.ids import new_id
from store.repositories import costs
from store.settings import Settings
from worker.inspecting.process import COMMAND, run
from worker.processes import scratch

log = logging.getLogger(__name__)


def answer_next(
    settings: Settings, database: Database, check: Callable[[], None], command: Sequence[str] = COMMAND
) -> bool:
    """Count one network in a process that may load torch, and write the answer, be it an error. False: none waits.
    Of a budget only what no earlier one had counted; nothing starts where that is all."""
    with database.read() as session:
        question = costs.next_wanted(session)
        known = costs.chains(session, question) if question is not None and "chains" in question else []
    if question is None:
        return False
    told = from_known(question, known) if known else None
    if told is not None:
        found: dict[str, Any] = {"report": told}
    else:
        with scratch.folder(settings.scratch, new_id("cst"), 1) as folder:
            found = run(command, "cost", folder, question | ({"known": known} if known else {}), settings, check)
    with database.write() as session:
        if "report" in found:
            costs.answer(session, question, {"cost": found["report"]})
            if known and told is None:
                chains = found["report"]["chains"]
                now = [remembered(chain, own) for chain, own in zip(chains, known, strict=True)]
                costs.keep_chains(session, question, now)
        elif found["error"]["fault"] == "system":
            costs.forget(session, question)  # killed for memory or the like: who asks again may have better luck
        else:
            costs.answer(session, question, {"error": found["error"]})
    log.info("counted %s", _named(question))
    return True


def _named(question: dict[str, Any]) -> str:
    if "chains" in question:
        return f"{len(question['chains'])} chains of students for a budget"
    named = question.get("architecture") or question.get("student") or question["config"]
    return str(named.get("name") or named["model_type"])
