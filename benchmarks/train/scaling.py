"""How fast several processes train beside one: `python -m benchmarks.train.scaling [--processes 2] [--steps 15]`.

Five ways, one after the other in rounds, so that what else the machine does meets all alike:

* `one`: a single process;
* `overlapped`: n processes whose gradients overlap the backward pass (`DistributedDataParallel`, as jobs train);
* `known`: the same, told that every parameter gets a gradient: nothing is looked for in each step's graph;
* `after`: n processes whose gradients are averaged after it, by one all-reduce of one flat tensor;
* `apart`: n processes that exchange no gradients, which is what the cores give.

Each process has one thread (`--threads`), or a GPU of its own where there are enough, and `--batch` samples a step:
weak scaling. The efficiency is images/s of n processes / (n x images/s of one).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from distill.models import build
from distill.processes import rank, total, world
from distill.training import distributed
from distill.types import Architecture

WAYS = ("overlapped", "known", "after", "apart")
WARMUP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32, help="samples of one process in a step")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--student", default="timm:resnet18")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rank-of", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank_of:
        _rank(options)
        return
    found = _measured(options)
    sys.stdout.write(table(found, options.processes) + "\n")


def table(found: dict[str, list[float]], processes: int) -> str:
    """Medians and ranges over the rounds, in Markdown. The efficiency is of pairs of the same round."""
    lines = ["| | images/s | of n times one process |", "|---|---|---|"]
    for way, rates in found.items():
        shares = [rate / (processes * one) for rate, one in zip(rates, found["one"], strict=True)]
        share = "" if way == "one" else f"{statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"
        lines.append(f"| {way} | {statistics.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f}) | {share} |")
    return "\n".join(lines)


def _measured(options: argparse.Namespace) -> dict[str, list[float]]:
    """Images a second by way, one entry a round. The processes live for all rounds: their start is no training."""
    with _ranks(options, 1) as one, _ranks(options, options.processes) as several:
        found: dict[str, list[float]] = {way: [] for way in ("one", *WAYS)}
        for _ in range(options.rounds):
            found["one"].append(one("apart"))
            for way in WAYS:
                found[way].append(several(way))
        return found


@contextmanager
def _ranks(options: argparse.Namespace, count: int) -> Iterator[Callable[[str], float]]:
    """`count` processes that wait for the name of a way on their input; gives a function from it to images/s of all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    command = [sys.executable, "-m", "benchmarks.train.scaling", *sys.argv[1:], "--rank-of", str(count)]
    started = [
        subprocess.Popen(
            command, env=shared | {"RANK": str(r), "LOCAL_RANK": str(r), "WORLD_SIZE": str(count)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )
        for r in range(count)
    ]  # fmt: skip

    def ask(way: str) -> float:
        for process in started:
            assert process.stdin is not None
            process.stdin.write(way + "\n")
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for process in started if process.stdout]
        return sum(answers)

    try:
        yield ask
    finally:
        for process in started:
            process.kill()
            process.wait()


def _rank(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    with distributed.group():
        gpu = torch.cuda.is_available() and torch.cuda.device_count() >= world()
        device = torch.device("cuda", rank()) if gpu else torch.device("cpu")
        torch.manual_seed(0)
        student = build(Architecture(name=options.student), 10, in_channels=3).to(device).train()
        plain, known = copy.deepcopy(student), _known(copy.deepcopy(student))
        parallel = {"overlapped": distributed.parallel(student), "known": known}
        images = torch.randn(options.batch, 3, options.side, options.side, device=device)
        labels = torch.arange(options.batch, device=device) % 10
        for line in sys.stdin:
            way = line.strip()
            rate = _rate(way, parallel.get(way, plain), images, labels, options.steps)
            sys.stdout.write(json.dumps(rate) + "\n")
            sys.stdout.flush()


def _known(student: nn.Module) -> nn.Module:
    if world() == 1:
        return student
    return DistributedDataParallel(student, broadcast_buffers=False, gradient_as_bucket_view=True)


def _rate(way: str, student: nn.Module, images: Any, labels: Any, steps: int) -> float:
    """Images a second of this process, in steps that all take together."""
    optimizer = torch.optim.SGD(student.parameters(), lr=1e-3)
    for number in range(WARMUP + steps):
        if number == WARMUP:
            _settle(images.device)
            began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(student(images), labels).backward()
        if way == "after":
            _average([p.grad for p in student.parameters() if p.grad is not None])
        optimizer.step()
    _settle(images.device)
    return len(images) * steps / (time.perf_counter() - began)


def _average(gradients: list[torch.Tensor]) -> None:
    flat = total(torch.cat([gradient.reshape(-1) for gradient in gradients])) / world()
    for gradient, part in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if world() > 1:
        dist.barrier()


if __name__ == "__main__":
    main()
