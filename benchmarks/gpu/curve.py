"""Seconds and device memory of a teacher's whole Q curve: python -m benchmarks.gpu.curve --json FILE.

Random weights and random images, 10 classes. `share` is the time of the forward passes alone, as a share of the whole;
`peak` is the device memory beyond what was held before, which `quality_memory_bytes` promises to bound.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.layers import discover
from distill.models import build
from distill.quality import score
from distill.types import Architecture

CLASSES, BATCH, BUDGET = 10, 64, 2 * 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teachers", nargs="+", default=["timm:resnet34", "timm:vit_base_patch16_224"])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = [measured(name, given.samples, given.side, torch.device(given.device)) for name in given.teachers]
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found))


def measured(name: str, samples: int, side: int, device: torch.device) -> dict[str, Any]:
    torch.manual_seed(0)
    model = build(Architecture(name=name), CLASSES, 3, side).to(device).eval()
    layers = discover(model, torch.zeros(2, 3, side, side, device=device))

    def batches() -> Iterator[Tensor]:
        generator = torch.Generator(device=device).manual_seed(0)
        for start in range(0, samples, BATCH):
            yield torch.randn(min(BATCH, samples - start), 3, side, side, generator=generator, device=device)

    labels = [i % CLASSES for i in range(samples)]
    forward = _seconds(lambda: _pass(model, batches()), device)
    before = _held(device, reset=True)
    whole = _seconds(lambda: list(score(model, layers, batches, labels, samples, BUDGET)), device)
    peak = _held(device) - before
    return {
        "teacher": name, "layers": len(layers), "samples": samples, "seconds": whole, "one pass": forward,
        "budget_bytes": BUDGET, "peak_bytes": peak,
    }  # fmt: skip


def _pass(model: torch.nn.Module, batches: Iterator[Tensor]) -> None:
    with torch.no_grad():
        for batch in batches:
            model(batch)


def _seconds(work: Any, device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _held(device: torch.device, reset: bool = False) -> int:
    """Bytes of tensors on the device: now after a reset, else the most since the last one. 0 on a CPU."""
    if device.type != "cuda":
        return 0
    if reset:
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    return int(torch.cuda.max_memory_allocated(device))


if __name__ == "__main__":
    main()
