"""Every cap of the conversion, with its unit. `docs/untrusted-input.md` repeats the numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConverterLimits:
    """What a checkpoint may be at most, and what converting it may take.

    Bytes: `input_bytes` of the file as uploaded, `output_bytes` of all tensors together, `pickle_bytes` of one pickle,
    `index_bytes` of a shard index, `config_bytes` of a configuration, `memory_bytes` of the child beyond the file
    itself. Counts: `tensors`, `members` of a container, `operations`, `depth` (open marks) and `memo` entries of a
    pickle, `name_length` in characters. `ratio`: unpacked bytes per packed byte. Times in s; CPU and idle time grow
    with the file by `seconds_per_gib`.
    """

    input_bytes: int = 64 * 2**30
    output_bytes: int = 64 * 2**30
    tensors: int = 100_000
    members: int = 100_000
    shards: int = 1_000
    name_length: int = 512
    dimensions: int = 8
    pickle_bytes: int = 64 * 2**20
    operations: int = 5_000_000
    depth: int = 100
    memo: int = 1_000_000
    index_bytes: int = 32 * 2**20
    config_bytes: int = 4 * 2**20
    ratio: float = 20.0
    memory_bytes: int = 2 * 2**30
    cpu_seconds: int = 60
    idle_seconds: float = 120.0
    seconds_per_gib: float = 30.0


DEFAULT_LIMITS = ConverterLimits()
