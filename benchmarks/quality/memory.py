"""Peak memory of scoring against its budget, measured.  python -m benchmarks.quality.memory [options]

Scores a torchvision network with random weights on random images in this process and prints one line of JSON:
the budget, the increase of the resident set over what was held before (model, images, libraries) at its peak, in bytes,
and how the layers were handled. Linux: the peak is the kernel's own (VmHWM, reset before the run).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from distill import torchvision_shim  # noqa: F401  (before torchvision)
from distill.layers import discover
from distill.quality import score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--memory-mib", type=int, default=256)
    parser.add_argument("--max-passes", type=int, default=4)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments)))


def run(arguments: argparse.Namespace) -> dict[str, object]:
    from torchvision.models import get_model

    model = get_model(arguments.network, weights=None).eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(arguments.samples, 3, arguments.side, arguments.side, generator=generator)
    labels = torch.arange(arguments.samples) % 10
    layers = discover(model, images[:1])
    passes: list[int] = []

    def batches() -> object:
        passes.append(1)
        return iter(images.split(arguments.batch_size))

    before, start = resident("VmRSS"), time.perf_counter()
    reset_peak()
    budget = arguments.memory_mib * 2**20
    curve = list(score(model, layers, batches, labels, 50_000, budget, max_passes=arguments.max_passes))
    return {
        "network": arguments.network,
        "samples": arguments.samples,
        "budget_bytes": budget,
        "peak_bytes": resident("VmHWM") - before,
        "seconds": round(time.perf_counter() - start, 1),
        "layers": len(curve),
        "pooled": sum(point.pooled for point in curve),
        "passes": len(passes) - 1,
    }


def resident(field: str) -> int:
    """A field of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {field}.")


def reset_peak() -> None:
    """Set VmHWM to the present resident set."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main()
