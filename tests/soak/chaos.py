"""Random kills: a trainer, a worker with its group, an API, everything in Redis. Each is started again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil

from tests.faults.site import Site
from tests.services.processes import Server, port_answers

PAUSE_SECONDS = (4.0, 12.0)


class Chaos(threading.Thread):
    """`victims`: workers that may be killed; `api` and the port that it listens on likewise."""

    def __init__(self, site: Site, victims: list[Server], api: Server, port: int) -> None:
        super().__init__(daemon=True, name="chaos")
        self.done: Counter[str] = Counter()
        self._site, self._victims, self._api, self._port = site, victims, api, port
        self._random, self._ended = random.Random(1), threading.Event()

    def run(self) -> None:
        faults: tuple[Callable[[], bool], ...] = (
            self.kill_trainer,
            self.kill_trainer,
            self.kill_worker,
            self.end_worker,
            self.stop_worker,
            self.kill_api,
            self.flush_redis,
        )
        while not self._ended.wait(self._random.uniform(*PAUSE_SECONDS)):
            fault = self._random.choice(faults)
            if fault():
                self.done[fault.__name__.replace("_", " ")] += 1

    def end(self) -> None:
        self._ended.set()
        self.join(90)
        assert not self.is_alive()

    def kill_trainer(self) -> bool:
        running = [process for process in psutil.process_iter() if self._is_trainer(process)]
        if not running:
            return False
        with suppress(psutil.Error):
            self._random.choice(running).kill()
        return True

    def _is_trainer(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            line = process.cmdline()
            return "tests.soak.program" in line and str(self._site.folder) in line[-1]
        return False

    def kill_worker(self) -> bool:
        """As a machine that vanishes: the whole group at once."""
        victim = self._random.choice(self._victims)
        victim.kill()
        time.sleep(self._random.uniform(0, 8))  # sometimes its lease runs out first
        self._site.start_worker(victim)
        return True

    def end_worker(self) -> bool:
        """As a deployment does it."""
        victim = self._random.choice(self._victims)
        victim.stop(signal.SIGTERM, 30)
        self._site.start_worker(victim)
        return True

    def stop_worker(self) -> bool:
        """Stands still past its lease, then goes on."""
        victim = self._random.choice(self._victims)
        os.killpg(victim.pid, signal.SIGSTOP)
        time.sleep(7)
        os.killpg(victim.pid, signal.SIGCONT)
        return True

    def kill_api(self) -> bool:
        self._api.kill()
        time.sleep(1)
        self._api.start(lambda: port_answers(self._port))
        return True

    def flush_redis(self) -> bool:
        with self._site.redis.client() as client:
            client.flushall()
        return True
