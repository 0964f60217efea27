"""What the parent asks of the child's isolation, and what the child says it got. Plain data, JSON between them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

LAYERS = ("namespaces", "landlock", "seccomp")
"""Layers that a kernel or a container may refuse. Rlimits, no-new-privileges, the empty environment are always on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`module` is run as `__main__` with `arguments`; `root` is the folder that holds its package.

    `read_only` and `writable` are absolute paths of files or folders; `stage` an empty folder where the new root is
    built; `rlimits` maps names (`DATA`, `CPU`, ...) to [soft, hard]; `layers` the layers to try.
    """

    module: str
    arguments: tuple[str, ...]
    root: str
    read_only: tuple[str, ...]
    writable: tuple[str, ...]
    stage: str
    parent: int
    report_descriptor: int
    rlimits: dict[str, tuple[int, int]]
    layers: tuple[str, ...] = LAYERS

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        data = json.loads(text)
        lists = {key: tuple(data[key]) for key in ("arguments", "read_only", "writable", "layers")}
        return cls(**(data | lists))


@dataclass(frozen=True, slots=True)
class Isolation:
    """What holds the child. `namespaces` names those entered; `landlock` is the kernel's ABI version, 0 for none.

    `problems` says, layer by layer, why one that was asked for is missing. `exposed`: folders of the service's data
    that lie within what must be readable. `other_user`: whether it runs as another user than the worker, None where
    nobody has looked. `network`: whether IP sockets reach the machine's network.
    """

    namespaces: tuple[str, ...] = ()
    own_root: bool = False
    own_shared_memory: bool = False
    landlock: int = 0
    seccomp: bool = False
    no_capabilities: bool = False
    rlimits: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    other_user: bool | None = None
    network: bool = False

    @property
    def no_network(self) -> bool:
        """No new socket can reach a host: own network namespace, or no `socket` call at all."""
        return not self.network and ("net" in self.namespaces or self.seccomp)

    @property
    def no_foreign_writes(self) -> bool:
        return self.own_root or self.landlock > 0

    @property
    def no_programs(self) -> bool:
        """`execve` is refused: by seccomp, or by Landlock, which grants execution to no file."""
        return self.seccomp or self.landlock > 0

    @property
    def complete(self) -> bool:
        """Whether a trainer can neither read what is not its job's nor speak to anybody."""
        return self.landlock > 0 and self.seccomp and not self.exposed and not self.network

    def has(self, layer: str) -> bool:
        return bool({"namespaces": self.namespaces, "landlock": self.landlock, "seccomp": self.seccomp}[layer])

    def summary(self) -> str:
        """One line for the log."""
        got = [*(f"{name} namespace" for name in self.namespaces)]
        got += ["own root"] * self.own_root + ["own shared memory"] * self.own_shared_memory
        got += [f"landlock {self.landlock}"] * bool(self.landlock)
        got += ["seccomp"] * self.seccomp + ["open network"] * self.network + ["no capabilities"] * self.no_capabilities
        got += [] if self.other_user is None else ["another user" if self.other_user else "same user as the worker"]
        got += [f"rlimits {' '.join(self.rlimits)}"] * bool(self.rlimits)
        return (", ".join(got) or "nothing") + "".join(f"; {why}" for why in self.problems)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Isolation:
        data: dict[str, Any] = json.loads(text)
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**fields)
