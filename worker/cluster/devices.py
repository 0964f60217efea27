"""What a process of a job takes of a cluster's hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Devices:
    """A device is a GPU with its share of the host's cores, where the cluster has GPUs; else a core. `hosts`: the
    devices of each host, most first; `cores`: of each device, on the host that has fewest of them."""

    gpu: bool
    cores: int
    hosts: tuple[int, ...]

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]]) -> Devices:
        """`nodes`: what `ray.nodes()` gives."""
        there = [node["Resources"] for node in nodes if node["Alive"]]
        gpus = [(int(each["GPU"]), int(each.get("CPU", 0))) for each in there if each.get("GPU", 0) >= 1]
        if gpus:
            fewest = min(cores // number for number, cores in gpus)
            return cls(True, fewest, _most_first([number for number, _ in gpus]))
        return cls(False, 1, _most_first([int(each.get("CPU", 0)) for each in there]))

    def bundle(self, processes: int) -> dict[str, float]:
        """What a host gives to so many processes."""
        wanted = {"CPU": float(self.cores * processes), "GPU": float(processes if self.gpu else 0)}
        return {name: number for name, number in wanted.items() if number}

    def describe(self, processes: int) -> str:
        """So many of them, in words."""
        kind = "GPU" if self.gpu else "CPU core"
        return f"{processes} {kind}{'' if processes == 1 else 's'}"


def _most_first(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted((number for number in numbers if number > 0), reverse=True))
