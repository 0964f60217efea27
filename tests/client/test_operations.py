"""`retort webhooks` and `retort jobs logs` against a real server."""

from __future__ import annotations

import json
import threading
import time

from distill.types import Event
from tests.api.driver import Driver
from tests.client.conftest import Command


def test_webhooks_from_their_making_to_their_end(command: Command, driver: Driver) -> None:
    code, printed = command("--json", "webhooks", "add", "https://1.1.1.1/x", "-e", "job.failed", "--description", "d")
    made = json.loads(printed)
    assert (code, made["events"], made["description"]) == (0, ["job.failed"], "d")
    assert made["secret"].startswith("whsec_")
    assert made["id"] in command("webhooks", "list")[1]
    sent = json.loads(command("--json", "webhooks", "test", made["id"])[1])
    assert sent["id"] in command("webhooks", "deliveries", made["id"])[1]
    assert "again" in command("webhooks", "redeliver", made["id"], sent["id"])[1]
    assert "enabled" in command("webhooks", "enable", made["id"])[1]
    assert command("webhooks", "delete", made["id"])[0] == 0
    assert made["id"] not in command("webhooks", "list")[1]


def test_a_url_that_is_refused_says_why(command: Command, driver: Driver) -> None:
    code, printed = command("webhooks", "add", "http://127.0.0.1/")
    assert code == 1
    assert "https only" in printed


def test_a_log_is_followed_to_its_end(command: Command, driver: Driver) -> None:
    job_id = driver.job()
    lease = driver.claim(job_id)

    def write(number: int) -> None:
        driver.record(lease, Event("log", {"level": "info", "message": f"line {number} [bold]"}))

    write(1)
    write(2)
    assert "line 1" not in command("jobs", "logs", job_id, "--tail", "1")[1]

    def go_on() -> None:
        for number in (3, 4):
            time.sleep(0.5)
            write(number)
        driver.finish(lease, "succeeded")

    thread = threading.Thread(target=go_on)
    thread.start()
    code, printed = command("jobs", "logs", job_id, "--follow")
    thread.join()
    assert code == 0
    assert [printed.count(f"line {number} [bold]") for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_a_student_is_published_and_its_credentials_kept(command: Command, driver: Driver) -> None:
    job_id = driver.job()
    driver.succeed(job_id)
    made = json.loads(command("--json", "publish", job_id, "tensorboard")[1])
    assert json.loads(command("--json", "publish", job_id, "tensorboard")[1])["id"] == made["id"]
    assert made["id"] in command("publications", job_id)[1]
    code, printed = command("publish", job_id, "huggingface", "--set", "repository=me/x", "--secret", "none")
    assert code == 1
    assert "RETORT_SECRETS_KEY" in printed
    assert command("secrets", "list")[0] == 0
    assert command("secrets", "remove", "none")[0] == 1
