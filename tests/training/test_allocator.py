"""Freed memory stays with the process once it was asked to keep it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, torch
from distill.training.allocator import keep_freed_memory

kept = keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**22)  # 16 MiB, freed at once: 4,096 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(int(kept), faults())
"""


def test_a_freed_tensor_is_reused_without_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, faults = (int(word) for word in done.stdout.split())
    if kept:  # glibc
        assert faults < 20 * 4096 / 10
