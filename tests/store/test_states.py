"""The transition table, and the real store driven at random against it."""

from __future__ import annotations

import itertools
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from store.database import Database
from store.repositories import jobs, leases, tenants
from store.repositories.leases import Ending, Lease, LeaseLost
from store.states import LEASED, REQUESTS, STATUSES, TERMINAL, TRANSITIONS, IllegalTransition, check_transition, sources
from store.tables import Job
from tests.store.support import event_list, new_dataset, new_job

ERROR = {"code": "x", "message": "m", "remedy": "", "fault": "system", "retryable": True, "details": {}}


@pytest.mark.parametrize(("current", "wanted"), list(itertools.product(STATUSES, STATUSES)))
def test_the_table_and_its_check_agree(current: str, wanted: str) -> None:
    allowed = wanted in TRANSITIONS[current]  # type: ignore[index]
    assert allowed == (current in sources(wanted))  # type: ignore[arg-type]
    if allowed:
        check_transition(current, wanted)  # type: ignore[arg-type]
    else:
        with pytest.raises(IllegalTransition):
            check_transition(current, wanted)  # type: ignore[arg-type]


def test_what_an_owner_may_ask_for_is_in_the_table_and_leaves_leases_alone() -> None:
    for current, wanted in REQUESTS.items():
        assert wanted <= TRANSITIONS[current]
        assert current not in LEASED or wanted <= LEASED


def test_ended_jobs_stay_ended_but_for_a_retry() -> None:
    assert {status for status in STATUSES if not TRANSITIONS[status]} == {"succeeded", "cancelled"}
    assert TRANSITIONS["failed"] == {"queued"}
    assert not LEASED & TERMINAL


def test_every_state_can_be_reached_and_left_for_an_end() -> None:
    reached, grown = {"queued"}, True
    while grown:
        following = reached.union(*(TRANSITIONS[status] for status in reached))  # type: ignore[index]
        grown, reached = following != reached, following
    assert reached == set(STATUSES)
    for status in STATUSES:
        ends: set[str] = {status}
        for _ in STATUSES:
            ends |= {wanted for current in ends for wanted in TRANSITIONS[current]}  # type: ignore[index]
        assert ends & TERMINAL


@cache
def _template() -> bytes:
    """A migrated database with its tenant: migrating once is enough."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/retort.db")
        database.migrate()
        with database.write() as session:
            tenants.ensure_default(session)
        database.close()  # the last connection to close folds SQLite's log into the file
        return Path(folder, "retort.db").read_bytes()


class StoreMachine(RuleBasedStateMachine):
    """Owners ask, holders write and settle, leases run out, in any order: every change follows the table, one holder
    at most has a lease, and the events tell every state in order without a gap."""

    holders = Bundle("holders")

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "retort.db"
        path.write_bytes(_template())
        self.database = Database(f"sqlite:///{path}")
        self.job_id = new_job(self.database, new_dataset(self.database), max_attempts=3)
        self.seen = "queued"

    @rule(target=holders)
    def claim(self) -> Lease | object:
        before = self.status()
        with self.database.write() as session:
            lease = leases.claim(session, self.job_id, "wrk", 60)
        assert (lease is not None) == (before == "queued")
        return lease if lease is not None else multiple()

    @rule(wanted=st.sampled_from(["cancel", "stopping", "pausing", "queued"]))
    def ask(self, wanted: str) -> None:
        with self.database.write() as session:
            job = session.get_one(Job, self.job_id)
            before = job.status
            try:
                after = jobs.request_cancel(session, job) if wanted == "cancel" else jobs.move(session, job, wanted)  # type: ignore[arg-type]
            except IllegalTransition:
                after = None
        if wanted != "cancel":
            assert (after is not None) == (wanted in REQUESTS[before])  # type: ignore[index]
        elif before in {"queued", "paused"}:
            assert after == "cancelled"
        elif before not in {"succeeded", "failed"}:
            assert after in {"cancelling", "cancelled"}

    @rule(lease=holders)
    def renew(self, lease: Lease) -> None:
        self.attempt(lease, lambda session: leases.renew(session, lease, 60))

    @rule(
        lease=holders,
        ending=st.sampled_from(
            [
                Ending("succeeded", "succeeded"),
                Ending("failed", "failed", ERROR),
                Ending("queued", "failed", ERROR, counts=True),
                Ending("queued", "handed_over"),
                Ending("cancelled", "cancelled"),
            ]
        ),
    )
    def settle(self, lease: Lease, ending: Ending) -> None:
        before = self.status()
        after = self.attempt(lease, lambda session: leases.settle(session, lease, ending))
        if after is not None and before == "cancelling":
            assert after == "cancelled"

    @rule(lease=consumes(holders))
    def lose(self, lease: Lease) -> None:
        """The holder falls silent until its lease has run out, and the sweep finds it."""
        self.attempt(lease, lambda session: leases.renew(session, lease, -1))
        with self.database.write() as session:
            if leases.expired(session):
                assert leases.expire(session, self.job_id, 0) in {"queued", "failed", "cancelled", "paused"}

    def attempt(self, lease: Lease, work: object) -> object:
        """A write of this holder: it succeeds exactly when its lease is the job's."""
        holds = self.job().lease_token == lease.token
        try:
            with self.database.write() as session:
                result = work(session)  # type: ignore[operator]
        except LeaseLost:
            assert not holds
            return None
        assert holds
        return result

    def job(self) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, self.job_id)

    def status(self) -> str:
        return self.job().status

    @invariant()
    def the_events_tell_a_legal_history(self) -> None:
        if not hasattr(self, "job_id"):
            return
        history = event_list(self.database, self.job_id)
        assert [seq for seq, _, _ in history] == list(range(1, len(history) + 1))
        told = [data["status"] for _, kind, data in history if kind == "status"]
        assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(told))  # type: ignore[index]
        assert told[-1] == self.status()

    @invariant()
    def a_lease_exactly_while_somebody_runs_it(self) -> None:
        if hasattr(self, "job_id"):
            job = self.job()
            assert (job.lease_token is not None) == (job.status in LEASED)
            assert (job.finished_at is not None) == (job.status in TERMINAL)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


class TestStore(StoreMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
