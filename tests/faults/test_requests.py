"""Cancel and stop at every boundary and in a race with success: scenario 11."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from client.api import Retort
from distill.types import PHASES
from store.database import Database
from store.repositories import jobs, leases, tenants
from store.repositories.leases import Ending
from store.states import LEASED, REQUESTS, STATUSES, TERMINAL, TRANSITIONS, IllegalTransition, Status, check_transition
from store.states import sources as states_before
from store.tables import Artifact, Job
from tests.faults.evidence import STUDENT, told
from tests.faults.site import Site
from tests.store import test_states
from tests.store.support import claimed, event_list, new_dataset, new_job, read_job, statuses

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]
EXAMPLES = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


class TableMachine(RuleBasedStateMachine):
    """Any change asked of the table, in any order: only what it allows happens, an owner's request never takes or gives
    a lease, an end stays one but for a retry, and an end can always be reached."""

    def __init__(self) -> None:
        super().__init__()
        self.status: Status = "queued"

    @rule(wanted=st.sampled_from(STATUSES))
    def change(self, wanted: Status) -> None:
        before = self.status
        with suppress(IllegalTransition):
            check_transition(before, wanted)
            self.status = wanted
        assert (self.status == wanted and before in states_before(wanted)) or self.status == before
        if before in TERMINAL:
            assert self.status == before or (before, self.status) == ("failed", "queued")

    @rule(wanted=st.sampled_from(STATUSES))
    def ask(self, wanted: Status) -> None:
        if wanted in REQUESTS[self.status]:
            assert wanted in TRANSITIONS[self.status]
            assert (self.status in LEASED) == (wanted in LEASED)
            self.status = wanted

    @invariant()
    def an_end_can_be_reached(self) -> None:
        reached: set[Status] = {self.status}
        for _ in STATUSES:
            reached |= {after for before in reached for after in TRANSITIONS[before]}
        assert reached & TERMINAL


class PostgresMachine(test_states.StoreMachine):
    """The store's machine on a real Postgres, a job an example."""

    shared: Database

    @initialize()
    def start(self) -> None:
        self.database = self.shared
        self.job_id = new_job(self.database, new_dataset(self.database), max_attempts=3)

    def teardown(self) -> None:
        """The database outlives the example."""


def test_11_the_transition_table() -> None:
    run_state_machine_as_test(TableMachine, settings=settings(EXAMPLES, max_examples=300))


def test_11_the_store_on_sqlite() -> None:
    run_state_machine_as_test(test_states.StoreMachine, settings=EXAMPLES)


def test_11_the_store_on_postgres(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.migrate()
    with database.write() as session:
        tenants.ensure_default(session)
    PostgresMachine.shared = database
    try:
        run_state_machine_as_test(PostgresMachine, settings=EXAMPLES)
    finally:
        database.close()


@pytest.mark.parametrize("asked", ["cancel", "stop", "pause"])
def test_11_a_request_in_a_race_with_success(database: Database, asked: str) -> None:
    """A hundred times, in both databases: either the request comes first and is honoured (a success that is
    `stopping` or `pausing` stays one, a cancelled one keeps no file), or success does and the request is refused."""
    dataset_id = new_dataset(database)
    ends = [_race(database, dataset_id, asked) for _ in range(100)]
    assert all(len([status for status in end if status in TERMINAL]) == 1 for end in ends)
    assert {end[-1] for end in ends} <= {"succeeded", "cancelled"}
    for end in ends:
        assert all(after in TRANSITIONS[before] for before, after in itertools.pairwise(end))  # type: ignore[index]
        assert (end[-1] == "cancelled") == ("cancelling" in end)


def _race(database: Database, dataset_id: str, asked: str) -> list[str]:
    job_id, together = new_job(database, dataset_id), threading.Barrier(2)
    lease = claimed(database, job_id)
    with database.write() as session:
        row = Artifact(job_id=job_id, name=STUDENT, media_type="m", object_key="k", size_bytes=1, sha256="0" * 64)
        session.add(row)

    def ask() -> bool:
        together.wait()
        try:
            with database.write() as session:
                job = session.get_one(Job, job_id)
                if asked == "cancel":
                    jobs.request_cancel(session, job)
                else:
                    jobs.move(session, job, "stopping" if asked == "stop" else "pausing")
        except IllegalTransition:
            return False
        return True

    def succeed() -> None:
        together.wait()
        with database.write() as session:
            leases.settle(session, lease, Ending("succeeded", "succeeded"))

    with ThreadPoolExecutor(2) as pool:
        honoured, settled = pool.submit(ask), pool.submit(succeed)
    settled.result()
    history = statuses(database, job_id)
    assert honoured.result() == (len(history) == 4), history
    assert [seq for seq, _, _ in event_list(database, job_id)] == list(range(1, len(history) + 1))
    assert read_job(database, job_id).lease_token is None
    with database.read() as session:
        assert (jobs.artifact(session, job_id, STUDENT) is None) == (history[-1] == "cancelled")
    return history


def test_11_cancel_and_stop_at_every_phase_boundary(site: Site) -> None:
    """With real runs, two at a time: asked at the moment the phase begins, and before the job begins at all."""
    site.worker("w", RETORT_SLOTS="2")
    passed = [phase for phase in PHASES if phase != "choosing"]  # these jobs name their recipe
    cases = list(itertools.product(["cancel", "stop"], ["queued", *passed]))
    with ThreadPoolExecutor(2) as pool:
        for (action, phase), job_id, accepted in pool.map(lambda case: _ask_at(site, *case), cases):
            story = told(site, job_id)
            status = story.job["status"]
            if action == "cancel" and accepted:
                assert status == "cancelled", (phase, story.job)
                assert site.emptied(job_id)
                assert story.artifacts == {}
            else:
                assert status == "succeeded", (phase, story.job)


def test_11_cancel_in_a_race_with_success(site: Site) -> None:
    """Asked when the last phase begins, of runs that end at that moment."""
    site.worker("w", program="tiny")
    ends = []
    for _ in range(15):
        _, job_id, accepted = _ask_at(site, "cancel", "uploading")
        story = told(site, job_id)
        ends.append(story.job["status"])
        assert ends[-1] == ("cancelled" if accepted else "succeeded")
        assert not accepted or site.emptied(job_id)
    print(f"cancel when uploading begins: {ends.count('cancelled')} of {len(ends)} were in time")


def _ask_at(site: Site, action: str, phase: str) -> tuple[tuple[str, str], str, bool]:
    """A job that is asked to `action` when `phase` begins; whether it was accepted. It has ended."""
    job_id = site.submit()
    with Retort(site.retort.url) as retort:
        if phase != "queued":
            next(e for e in retort.events(job_id) if e["kind"] == "phase" and e["data"]["phase"] == phase)
        answer = site.http.post(f"/jobs/{job_id}/{action}")
        assert answer.status_code in {200, 202, 409}, answer.text
        retort.wait(job_id, seconds=120)
    return (action, phase), job_id, answer.status_code != 409
