"""All hosts of one job: their places held at once, their processes started, heard, given orders, and ended together."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import RetortError
from distill.types import Event
from worker.cluster.devices import Devices
from worker.cluster.host import COMMAND, PROBE, Host
from worker.errors import ClusterBusy, FolderNotShared, HostLost, HostUnfit, Internal
from worker.jobs.exits import explain_exit
from worker.jobs.group import Meeting

ROOM_SECONDS = 600.0
"""How long a job waits for its places, which others have."""
START_SECONDS = 600.0
"""How long an actor may take until it answers: a host that others keep busy starts a process in minutes."""
HEAR_SECONDS = 0.5
ANSWER_SECONDS = 30.0
"""How long a host may be silent after the processes of another have lost it. One that lives answers every half second;
Ray says after this time at the latest that a host has gone."""
END_SECONDS = 20.0


@dataclass(slots=True)
class Seen:
    """A host, as the driver sees it. `failure`: why its processes ended, None where all was well."""

    actor: Any
    name: str
    address: str
    ended: bool = False
    failure: dict[str, Any] | None = None
    peak_bytes: int = 0


class Team:
    """`processes` ranks on each of `hosts` hosts for the job in `folder`. `say`: to the worker; `command`: starts the
    launcher of a host."""

    def __init__(
        self,
        ray: Any,
        hosts: int,
        processes: int,
        folder: Path,
        say: Callable[[Event], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._ray, self._number, self._processes = ray, hosts, processes
        self._folder, self._say, self._command = folder, say, command
        self._hosts: list[Seen] = []
        self._orders: list[str] = []
        self._passed, self._peak, self._places = 0, 0, None

    def order(self, order: str) -> None:
        """From any thread: passed on to every host, as soon as there are any."""
        self._orders.append(order)

    def run(self) -> dict[str, Any] | None:
        """Until all processes have ended; the error of those that failed first, None where all was well. Nothing of the
        job runs in the cluster when it returns or raises."""
        try:
            devices = Devices.of(self._ray.nodes())
            if not self._hold_places(devices):
                return None
            self._meet(devices)
            return self._listen()
        finally:
            self._end()

    # ---- until they run

    def _hold_places(self, devices: Devices) -> bool:
        """All or none; False where the worker wanted its job back meanwhile."""
        from ray.util import placement_group

        bundle = devices.bundle(self._processes)
        self._places = places = placement_group([bundle] * self._number, strategy="STRICT_SPREAD")
        started, told = time.monotonic(), False
        wanted = f"{self._number} hosts with {devices.describe(self._processes)} free on each"
        while not places.wait(1):
            waited = time.monotonic() - started
            if "handover" in self._orders:
                return False
            if waited > ROOM_SECONDS:
                remedy = "Wait until other jobs of the cluster have ended, ask for fewer hosts, or add hosts."
                raise ClusterBusy(f"The cluster had no {wanted} for {ROOM_SECONDS:g} s.", remedy)
            if waited > 3 and not told:
                told = True
                self._say(Event("log", {"level": "info", "message": f"waiting for {wanted} in the cluster"}))
        return True

    def _meet(self, devices: Devices) -> None:
        token = secrets.token_hex(16)
        (self._folder / PROBE).write_text(token)
        self._hosts = [self._actor(number, devices) for number in range(self._number)]
        try:
            told = self._all("introduce", token)
        except self._ray.exceptions.GetTimeoutError as error:
            remedy = "See what keeps the hosts of the cluster busy; the job is tried again."
            raise ClusterBusy(f"A host of the cluster did not answer for {START_SECONDS:g} s.", remedy) from error
        except self._ray.exceptions.RayError as error:
            remedy = "Run the image of this worker on every host: the same versions of Retort, Ray and Python."
            raise HostUnfit(f"A host of the cluster cannot run Retort: {_last_line(error)}", remedy) from error
        for host, each in zip(self._hosts, told, strict=True):
            host.name = each["name"]
            self._check_shared(host, each, token)
        endpoint = f"{self._hosts[0].address}:{self._ray.get(self._hosts[0].actor.free_port.remote())}"
        meetings = [Meeting(number, self._number, endpoint, each.address) for number, each in enumerate(self._hosts)]
        self._ray.get([
            each.actor.start.remote(self._processes, meeting, max(1, devices.cores))
            for each, meeting in zip(self._hosts, meetings, strict=True)
        ])  # fmt: skip
        names = ", ".join(f"{each.name} ({each.address})" for each in self._hosts)
        self._say(Event("log", {"level": "info", "message": f"{self._processes} processes each on {names}"}))

    def _actor(self, number: int, devices: Devices) -> Seen:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        bundle = devices.bundle(self._processes)
        address = self._address(number)
        made = self._ray.remote(Host).options(
            num_cpus=bundle.get("CPU", 0),
            num_gpus=bundle.get("GPU", 0),
            max_concurrency=4,
            name=actor_name(self._folder, number),
            scheduling_strategy=PlacementGroupSchedulingStrategy(self._places, number),
        )
        return Seen(made.remote(str(self._folder), address, self._command), address, address)

    def _address(self, number: int) -> str:
        """Of the host that the place of this number is on."""
        from ray.util import placement_group_table

        node = placement_group_table(self._places)["bundles_to_node_id"][number]
        return next(str(each["NodeManagerAddress"]) for each in self._ray.nodes() if each["NodeID"] == node)

    def _check_shared(self, host: Seen, told: dict[str, Any], token: str) -> None:
        problem = told["problem"]
        if not problem:
            with suppress(OSError):
                if (self._folder / told["left"]).read_text() == token:
                    return
            problem = "what it writes there is not seen here"
        raise FolderNotShared(
            f"Host {host.name} ({host.address}) does not share the folder of RETORT_RAY_SHARED_DIR: {problem}.",
            "Mount one file system on the worker's machine and on every host, at the same path and for the same user.",
            {"host": host.name, "address": host.address, "folder": str(self._folder.parent.parent.parent)},
        )

    # ---- while they run

    def _listen(self) -> dict[str, Any] | None:
        waiting = {self._ask(host): host for host in self._hosts}
        while waiting:
            self._pass_orders()
            ready, _ = self._ray.wait(list(waiting), num_returns=1, timeout=HEAR_SECONDS)
            for reference in ready:
                host = waiting.pop(reference)
                self._take(host, reference)
                if host.failure is not None:
                    return self._blamed(host, waiting)
                if not host.ended:
                    waiting[self._ask(host)] = host
        return None

    def _ask(self, host: Seen) -> Any:
        return host.actor.hear.remote(HEAR_SECONDS)

    def _pass_orders(self) -> None:
        while self._passed < len(self._orders):
            for host in self._hosts:
                host.actor.order.remote(self._orders[self._passed])
            self._passed += 1

    def _take(self, host: Seen, reference: Any) -> None:
        """What the host answers, passed on."""
        try:
            told = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            host.ended, host.failure = True, _lost(host, _last_line(error))
            return
        for kind, data in told["events"]:
            if kind == "failed":
                host.failure = data
            else:
                self._say(Event(kind, data))
        self._note_memory(host, told["peak_bytes"])
        if told["exit_code"] is not None:
            host.ended = True
            if told["exit_code"] != 0 and host.failure is None:
                who, for_memory = f"The launcher on host {host.name}", told["killed_for_memory"]
                died = explain_exit(told["exit_code"], host.peak_bytes, "", who, for_memory=for_memory)
                host.failure = died.to_dict()
        for line in told["tail"]:
            sys.stderr.write(f"{host.name}: {line}\n")

    def _note_memory(self, host: Seen, peak_bytes: int) -> None:
        """The most that one host has used."""
        host.peak_bytes = peak_bytes
        if peak_bytes > self._peak * 1.02:
            self._peak = peak_bytes
            self._say(Event("memory", {"peak_bytes": peak_bytes}))

    def _blamed(self, host: Seen, waiting: dict[Any, Seen]) -> dict[str, Any]:
        """The failure to report: where processes have lost others, that of the host which is gone."""
        assert host.failure is not None
        if host.failure["code"] == Internal.code:
            ready, silent = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=ANSWER_SECONDS)
            for reference in ready:
                self._take(waiting[reference], reference)
            for reference in silent:
                waiting[reference].failure = _lost(waiting[reference], f"no answer for {ANSWER_SECONDS:g} s")
            others = [each.failure for each in waiting.values() if each.failure]
            found = next((each for each in others if each["code"] != Internal.code), None)
            if found is not None:
                return found
        return host.failure | {"details": host.failure["details"] | {"host": host.name, "address": host.address}}

    # ---- the end

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        calls = [getattr(host.actor, method).remote(*arguments) for host in self._hosts]
        return list(self._ray.get(calls, timeout=START_SECONDS))

    def _end(self) -> None:
        """First the processes, verified gone by the actor beside them, then the actors and their places."""
        ending = [host.actor.end.remote() for host in self._hosts]
        if ending:
            self._ray.wait(ending, num_returns=len(ending), timeout=END_SECONDS)
        for host in self._hosts:
            self._ray.kill(host.actor)
        if self._places is not None:
            from ray.util import remove_placement_group

            remove_placement_group(self._places)
        cleared(self._folder, self._number)


def actor_name(folder: Path, number: int) -> str:
    """Of a host's actor: job, attempt and the host's number."""
    return f"{folder.parent.name}/{folder.name}/{number}"


def cleared(folder: Path, hosts: int, seconds: float = 30.0) -> bool:
    """End the actors of an attempt that are left, and wait until Ray says that they are gone; whether it does."""
    import ray
    from ray.util import list_named_actors

    own, deadline = {actor_name(folder, number) for number in range(hosts)}, time.monotonic() + seconds
    while left := own & set(list_named_actors()):
        for name in left:
            with suppress(ValueError):  # gone by now
                ray.kill(ray.get_actor(name))
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _lost(host: Seen, why: str) -> dict[str, Any]:
    lost: RetortError = HostLost(
        f"Host {host.name} ({host.address}) of the cluster was lost: {why}",
        "The job goes on from its last checkpoint once the cluster has enough hosts.",
        {"host": host.name, "address": host.address},
    )
    return lost.to_dict()


def _last_line(error: BaseException) -> str:
    return str(error).strip().rpartition("\n")[2] or type(error).__name__
