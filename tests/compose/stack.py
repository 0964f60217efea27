"""docker-compose.yml as a user starts it, in a project and on ports of its own, asked from outside its network.

RETORT_COMPOSE is the command (`docker compose`) and RETORT_DOCKER the engine's; `make compose-test` sets both.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import httpx

from tests.services.processes import free_ports
from tests.slowness import within
from tests.worker.support import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = shlex.split(os.environ.get("RETORT_COMPOSE", ""))
DOCKER = shlex.split(os.environ.get("RETORT_DOCKER", "")) or COMPOSE[:1]
UP_SECONDS, BUILD_SECONDS = 600.0, 2400.0
#: Settings of the caller that say how images are built.
BUILDING = frozenset({"RETORT_WHEELS", "RETORT_TORCH", "RETORT_TORCHVISION", "RETORT_TORCH_INDEX", "RETORT_VERSION"})
Row = dict[str, Any]


class Stack:
    """`compose(...)` is the command line on this project; nothing here knows more than a user does."""

    def __init__(self, project: str, **settings: str) -> None:
        port, s3_port = free_ports(2)
        self.project, self.url, self.s3 = project, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{s3_port}"
        kept = {name: value for name, value in os.environ.items() if name in BUILDING or name[:7] != "RETORT_"}
        self._environment = kept | {"RETORT_PORT": str(port), "RETORT_S3_PORT": str(s3_port)} | settings
        self._command = [*COMPOSE, "-p", project]
        self._key = ""

    def over(self, file: str, **settings: str) -> Stack:
        """The same project with another file on top of docker-compose.yml."""
        other = copy(self)
        other._environment = self._environment | settings
        other._command = [*self._command, "-f", "docker-compose.yml", "-f", file]
        return other

    def alone(self, settings: Path, *files: str) -> Stack:
        """A project of these files and settings alone."""
        other = copy(self)
        named = [part for file in files for part in ("-f", file)]
        other._command = [*self._command, *named, "--env-file", str(settings)]
        return other

    def compose(self, *arguments: str, content: bytes | None = None, seconds: float = UP_SECONDS) -> bytes:
        """Standard output of the command; raises with both outputs when it fails."""
        done = subprocess.run(
            [*self._command, *arguments], cwd=ROOT, env=self._environment, input=content or b"", capture_output=True,
            timeout=within(seconds),
        )  # fmt: skip
        said = f"{done.stderr.decode(errors='replace')[-4000:]}\n{done.stdout[-2000:]!r}"
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}\n{said}"
        return done.stdout

    def build(self) -> None:
        self.compose("build", seconds=BUILD_SECONDS)

    def up(self, *arguments: str) -> None:
        """`docker compose up -d`, and wait until the API is ready, as a user does by reloading the page."""
        self.compose("up", "-d", *arguments)
        wait_until(self.ready, 180)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=within(10)).status_code == 200
        except httpx.TransportError:
            return False

    def key(self) -> str:
        """As the line in the log says."""
        self._key = self._key or self.compose("exec", "-T", "api", "cat", "/run/retort/api_key").decode().strip()
        return self._key

    def forget_key(self) -> None:
        """The volumes are others now."""
        self._key = ""

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key()}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=within(150))

    def containers(self, service: str, everything: bool = False) -> list[Row]:
        options = ["--all"] if everything else []
        lines = self.compose("ps", *options, "--format", "json", service).decode().splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    def kill(self, service: str) -> None:
        """As a crash does: SIGKILL to the container, which the restart policy then starts again."""
        docker("kill", "--signal", "KILL", self.containers(service)[0]["Name"])

    def joining(self) -> bytes:
        """The settings of a worker that reaches this service by the address of the engine's machine."""
        address = gateway()
        self.over("deploy/several-machines.yml", RETORT_PRIVATE_ADDRESS=address).up("--scale", "worker=0")
        return self.compose("exec", "-T", "api", "python", "-m", "store.joining", address)

    def volumes(self) -> set[str]:
        return set(docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={self.project}").split())

    def leftovers(self) -> list[str]:
        return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()

    def inspect(self, service: str) -> Row:
        (container,) = self.containers(service, everything=True)
        found: Row = json.loads(docker("inspect", container["Name"]))[0]
        return found

    def destroy(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


@contextmanager
def built(project: str, **settings: str) -> Iterator[Stack]:
    """A project whose images are there, and of which nothing is left afterwards."""
    made = Stack(project, **settings)
    try:
        made.build()
        yield made
    finally:
        made.destroy()
    assert made.leftovers() == []


def gateway() -> str:
    """By which containers reach the engine's machine."""
    return docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}").strip()


def docker(*arguments: str) -> str:
    """The engine's own command, which comes with compose."""
    return subprocess.run([*DOCKER, *arguments], check=True, capture_output=True, text=True, timeout=within(120)).stdout
