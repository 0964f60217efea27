"""Which devices the slots may use, as CUDA_VISIBLE_DEVICES names them, without loading CUDA into this process.

A mask that the operator set is respected as it stands: its entries may be numbers (which CUDA and nvidia-smi count in
different orders), UUIDs or beginnings of them, and they mean the same to the trainer as they would to us. Without a
mask devices are named by UUID. A GPU that is divided (MIG) is no device itself: its instances are.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)
PROC = Path("/proc/driver/nvidia/gpus")
DEVICE = Path("/dev/nvidia-uvm")
MAKER = ("nvidia-modprobe", "-u", "-c", "0")
LISTING = ("nvidia-smi", "-L")
LISTING_SECONDS = 120.0  # a driver that is loaded for it takes its time
_GPU = re.compile(r"GPU \d+: .*\(UUID: (GPU-[0-9a-fA-F-]+)\)")
_MIG = re.compile(r"\s+MIG .*\(UUID: (MIG-[0-9a-fA-F/-]+)\)")


def visible(
    environment: Mapping[str, str] = os.environ, listing: Callable[[], str] | None = None, proc: Path = PROC
) -> list[str]:
    """One entry a device, the mask's where there is one. `listing` gives what `nvidia-smi -L` prints."""
    mask = environment.get("CUDA_VISIBLE_DEVICES")
    if mask is not None:
        return masked(mask)
    if not proc.is_dir():
        return []
    return listed((listing or _listing)()) or [str(index) for index, _ in enumerate(proc.iterdir())]


def masked(mask: str) -> list[str]:
    """Entries of a mask up to the first that hides the rest, as CUDA reads it: a negative number, or an empty one."""
    entries: list[str] = []
    for part in (each.strip() for each in mask.split(",")):
        if not part or part.startswith("-") or part in entries:
            break
        entries.append(part)
    return entries


def listed(text: str) -> list[str]:
    """UUIDs in the output of `nvidia-smi -L`; of a divided GPU those of its instances."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if gpu := _GPU.match(line):
            found.append([gpu[1]])
        elif (instance := _MIG.match(line)) and found:
            found[-1].append(instance[1])
    return [uuid for gpu, *instances in found for uuid in (instances or [gpu])]


def of_slot(slot: int, devices: Sequence[str], number: int = 1) -> tuple[str, ...]:
    """The `number` devices of a slot, () where there are none. Slots that want more than there are share them in
    turn."""
    return tuple(devices[(slot * number + i) % len(devices)] for i in range(number)) if devices else ()


def make_devices(proc: Path = PROC, device: Path = DEVICE, maker: Sequence[str] = MAKER) -> None:
    """Have the driver's own tool make CUDA's device files where there are none yet: a trainer, which may not start
    set-user-id programs, cannot."""
    if proc.is_dir() and not device.exists():
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(maker, capture_output=True, timeout=LISTING_SECONDS, check=False)


@cache
def _listing() -> str:
    try:
        done = subprocess.run(LISTING, capture_output=True, text=True, timeout=LISTING_SECONDS, check=False)
    except OSError:  # no such program: no such GPU
        return ""
    except subprocess.TimeoutExpired:
        log.warning(
            "%s has not answered for %g s: GPUs go by number, divided ones (MIG) whole", LISTING[0], LISTING_SECONDS
        )
        return ""
    return done.stdout
