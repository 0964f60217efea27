"""One attempt with real trainer processes: whatever they do, the job ends as it should and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from store.repositories import jobs, leases
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Teacher
from tests.store.support import event_list, statuses
from tests.worker.support import World, wait_until


def test_success(world: World) -> None:
    assert world.run("success") == "succeeded"
    job, (attempt,) = world.job, world.attempts
    assert (job.status, job.phase, job.error, job.result) == ("succeeded", None, None, {"accuracy": 1.0})
    assert job.progress is not None
    assert (attempt.outcome, attempt.exit_code) == ("succeeded", 0)
    assert attempt.peak_memory_bytes is not None
    assert attempt.peak_memory_bytes > 2**20
    assert world.artifact() == "weights"
    phases = [data["phase"] for _, kind, data in event_list(world.database, world.job_id) if kind == "phase"]
    assert phases == ["fetching", "distilling", "uploading"]
    assert world.nothing_left()


def test_a_users_fault_fails_at_once(world: World) -> None:
    assert world.run("user_failure") == "failed"
    assert world.job.error is not None
    assert (world.job.error["code"], world.job.error["remedy"]) == ("invalid_config", "Lower layers.")
    assert world.job.faults == 0
    assert world.nothing_left()


@pytest.mark.parametrize(
    ("name", "code", "exit_code"),
    [
        ("segfault", "trainer_crashed", -signal.SIGSEGV),
        ("killed", "trainer_crashed", -signal.SIGKILL),
        ("exit_137", "trainer_crashed", 137),
        ("exception", "trainer_crashed", 1),
        ("nothing", "trainer_crashed", 0),
    ],
)
def test_a_crash_is_classified_and_queued_again_while_attempts_are_left(
    world: World, name: str, code: str, exit_code: int
) -> None:
    world.queue(max_attempts=2)
    assert world.run(name) == "queued"
    assert world.run(name) == "failed"
    assert world.job.error is not None
    assert world.job.error["code"] == code
    assert [attempt.exit_code for attempt in world.attempts] == [exit_code, exit_code]
    assert statuses(world.database, world.job_id) == ["queued", "running", "queued", "running", "failed"]
    assert world.nothing_left()


def test_the_last_lines_of_a_crashed_trainer_are_kept(world: World) -> None:
    world.run("exception")
    assert "ValueError: the last line tells" in world.logs()
    assert world.job.error is not None
    assert world.job.error["details"]["last_line"] == "ValueError: the last line tells"


@pytest.mark.parametrize("name", ["segfault_after_done", "lingers"])
def test_a_finished_run_counts_however_its_process_ends(world: World, name: str) -> None:
    assert world.run(name) == "succeeded"
    assert world.artifact() == "weights"
    assert world.nothing_left()


def test_killed_and_resumed_from_its_checkpoint(world: World) -> None:
    assert world.run("crash_once") == "queued"
    assert world.run("crash_once") == "succeeded"
    assert [attempt.outcome for attempt in world.attempts] == ["failed", "succeeded"]
    kinds = [kind for _, kind, _ in event_list(world.database, world.job_id)]
    assert kinds.count("metrics") == 1


def test_kill_9_from_outside_mid_run_and_resume(world: World) -> None:
    world.queue()
    hold = world.settings.scratch / "hold"
    hold.parent.mkdir(parents=True)
    hold.touch()
    with world.running("steps", "step 3") as ended:
        wait_until(lambda: len(checkpoint_steps(world)) > 0 and max(checkpoint_steps(world)) == 3)
        os.kill(world.trainer_pid(), signal.SIGKILL)
    assert ended == ["queued"]
    hold.unlink()
    assert world.run("steps") == "succeeded"
    assert json.loads(world.artifact()) == {"steps": 10, "from": 3}
    metrics = [data["step"] for _, kind, data in event_list(world.database, world.job_id) if kind == "metrics"]
    assert metrics == list(range(1, 11))
    assert len(checkpoint_steps(world)) <= 2
    folder = f"jobs/{world.job_id}/checkpoints/"  # one that was on its way at the end goes a moment later
    wait_until(lambda: len(list(world.objects.keys(folder))) == len(checkpoint_steps(world)))


def checkpoint_steps(world: World) -> list[int]:
    with world.database.read() as session:
        return [row.step for row in jobs.checkpoints(session, world.job_id)]


def test_hand_over_continues_from_the_checkpoint_and_uses_no_attempt(world: World) -> None:
    world.queue(max_attempts=1)
    hold = world.settings.scratch / "hold"
    hold.parent.mkdir(parents=True)
    hold.touch()
    with world.running("steps", "step 3") as ended:
        world.leaving.set()
    assert ended == ["queued"]
    assert (world.attempts[0].outcome, world.job.faults, world.job.not_before) == (
        "handed_over",
        0,
        world.job.not_before,
    )
    hold.unlink()
    world.leaving.clear()
    assert world.run("steps") == "succeeded"
    assert json.loads(world.artifact())["from"] == 3


def test_a_trainer_that_does_not_hand_over_is_ended_after_the_grace(world: World) -> None:
    world.queue()
    with world.running("stubborn", "ready") as ended:
        world.leaving.set()
    assert ended == ["queued"]
    assert world.attempts[0].outcome == "handed_over"
    assert world.nothing_left()


def test_stop_keeps_what_there_is(world: World) -> None:
    world.queue()
    hold = world.settings.scratch / "hold"
    hold.parent.mkdir(parents=True)
    hold.touch()
    with world.running("steps", "step 3") as ended:
        world.ask("stopping")
    assert ended == ["succeeded"]
    assert json.loads(world.artifact()) == {"steps": 3, "from": 0}


def test_pause_and_resume(world: World) -> None:
    world.queue()
    hold = world.settings.scratch / "hold"
    hold.parent.mkdir(parents=True)
    hold.touch()
    with world.running("steps", "step 3") as ended:
        world.ask("pausing")
    assert ended == ["paused"]
    hold.unlink()
    world.ask("queued")
    assert world.run("steps") == "succeeded"
    assert json.loads(world.artifact())["from"] == 3


def test_cancel_leaves_no_process_no_file_no_object(world: World) -> None:
    world.queue()
    with world.running("stubborn", "ready") as ended:
        world.ask("cancelling")
    assert ended == ["cancelled"]
    assert world.nothing_left()
    assert list(world.objects.keys("jobs/")) == []
    assert world.attempts[0].exit_code == -signal.SIGKILL


def test_cancel_removes_checkpoints(world: World) -> None:
    world.queue()
    hold = world.settings.scratch / "hold"
    hold.parent.mkdir(parents=True)
    hold.touch()
    with world.running("steps", "step 3") as ended:
        wait_until(lambda: bool(checkpoint_steps(world)))
        world.ask("cancelling")
    assert ended == ["cancelled"]
    assert checkpoint_steps(world) == []
    assert list(world.objects.keys("jobs/")) == []


def test_cancelled_before_it_fetches(world: World) -> None:
    world.queue()
    lease = world.claim()
    world.ask("cancelling")
    assert world.supervisor("success").supervise(lease) == "cancelled"
    assert world.attempts[0].exit_code is None


def test_a_job_deleted_under_its_trainer(world: World) -> None:
    world.queue()
    with world.running("waits", "ready") as ended, world.database.write() as session:
        session.delete(session.get_one(type(world.job), world.job_id))
    assert ended == [None]
    assert not list(world.settings.scratch.glob("*/*"))


def test_a_lost_lease_ends_the_trainer_and_writes_nothing(world: World) -> None:
    world.queue()
    with world.running("waits", "ready") as ended:
        with world.database.write() as session:
            session.get_one(type(world.job), world.job_id).lease_token = "lse_another"
        before = world.job.event_seq
    assert ended == [None]
    assert world.nothing_left()
    assert world.job.event_seq == before
    assert world.job.status == "running"


def test_a_holder_that_slept_past_its_lease_fences_itself(world: World) -> None:
    """What SIGSTOP and SIGCONT do, without the signals: the clock has moved on and no renewal was sent."""
    world.queue()
    supervisor, lease = world.supervisor("waits"), world.claim()
    from worker.jobs.holding import Holding

    with Holding(world.settings, world.database, lease) as holding:
        holding._renewed = time.monotonic() - world.settings.lease_seconds - 1
        assert holding.lost
        with pytest.raises(leases.LeaseLost):
            holding.try_write(lambda session: leases.fenced(session, lease, phase="scoring"))
    assert supervisor.holdings == {}


def ready_teacher(world: World, folder: Path) -> str:
    """A row with an object, which no program here opens."""
    (folder / "weights").write_bytes(b"weights")
    info = world.objects.put("teachers/tch_1/weights.safetensors", folder / "weights")
    row = Teacher(
        id="tch_1", tenant_id=DEFAULT_TENANT, name="t", status="ready", object_key=info.key, sha256=info.sha256,
        architecture={"name": "retort:resnet8", "options": {}}, size_bytes=info.size_bytes,
        report={"num_classes": 2},
    )  # fmt: skip
    with world.database.write() as session:
        session.add(row)
    return row.id


def test_a_curve_is_kept_and_offered_to_the_next_job(world: World, tmp_path: Path) -> None:
    teacher = ready_teacher(world, tmp_path)
    world.queue(teacher_id=teacher)
    assert world.run("curve") == "succeeded"
    assert json.loads(world.artifact()) == []
    first = world.job
    world.queue(dataset_id=first.dataset_id, teacher_id=teacher)
    assert world.run("curve") == "succeeded"
    (offered,) = json.loads(world.artifact())
    assert [layer["name"] for layer in offered["layers"]] == ["layer0", "layer1"]
    assert offered["digest"] == "d" * 64


def test_events_that_cannot_be_recorded_do_not_stop_the_others(world: World) -> None:
    assert world.run("nonsense") == "succeeded"
    assert "nul  and ?" in world.logs()


def test_the_trainer_sees_no_credentials(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETORT_DATABASE_URL", "RETORT_S3_SECRET_KEY", "RETORT_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "hidden-value")
    assert world.run("environment") == "succeeded"
    assert "hidden-value" not in world.artifact()
    assert "PATH" in json.loads(world.artifact())


def test_a_dataset_that_is_gone_is_the_users_fault(world: World) -> None:
    from tests.store.support import new_dataset

    world.queue(dataset_id=new_dataset(world.database, status="invalid"))
    assert world.run("success") == "failed"
    assert world.job.error is not None
    assert world.job.error["code"] == "input_gone"
