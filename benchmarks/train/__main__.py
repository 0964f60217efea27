"""`python -m benchmarks.train [--device cuda] [--json FILE]`: images/s of (a) the student alone, (b) feature_only with
a live teacher, (c) with cached targets, (d) a naive eager fp32 loop; one run, one machine, one batch size."""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.train import naive
from distill import selection
from distill.answers.base import Guess
from distill.control import Control
from distill.layers import discover, run_until
from distill.modalities.images import Loader, Samples
from distill.modalities.images.opening import Split
from distill.modalities.images.sources import ArrayImages
from distill.models import build, preprocessing
from distill.recipe_parts.base import Setup
from distill.recipes import get
from distill.train import train
from distill.training import loop, probe
from distill.training.data import Order, TrainData
from distill.types import Architecture, DistillConfig

CLASSES = 10
MODES = {
    "eager fp32": {"precision": "fp32", "channels_last": False, "compile": False},
    "eager bf16": {"precision": "bf16", "channels_last": False, "compile": False},
    "bf16, channels_last": {"precision": "bf16", "channels_last": True, "compile": False},
    "bf16, channels_last, compiled": {"precision": "bf16", "channels_last": True, "compile": True},
}
GRAPHS = "bf16, channels_last, compiled, CUDA graphs"  # no setting of Retort: whether they would pay


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", default="retort:resnet34_small")
    parser.add_argument("--student", default="retort:resnet9")
    parser.add_argument("--width", type=int, default=16, help="of both networks; 64 is the paper's")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", action="store_true", help="the student alone, and nothing else")
    parser.add_argument(
        "--modes", action="store_true", help="cached targets in each of the modes that MODES names, too"
    )
    parser.add_argument("--cpu-time", action="store_true", help="count this process's CPU time: for a machine that is "
                        "busy with other work; run it with OMP_NUM_THREADS=1")  # fmt: skip
    return parser.parse_args()


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        cuda = torch.cuda.is_available() if options.device == "auto" else options.device.startswith("cuda")
        self.device = torch.device("cuda" if cuda else "cpu")
        self.names = {side: Architecture(name=getattr(options, side), options={"width": options.width})
                      for side in ("teacher", "student")}  # fmt: skip
        count = options.batch_size * 12
        generator = np.random.default_rng(0)
        self.pixels = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        self.labels = np.arange(count) % CLASSES
        self.how = preprocessing(self.names["student"], native_size=32)
        split = Split(ArrayImages(self.pixels, "random"), self.labels, np.full((count, 2), 32), np.zeros(count, bool),
                      [b""] * count, self.pixels)  # fmt: skip
        self.samples = Samples(split)
        teacher, student = self.network("teacher"), self.network("student")
        example = torch.randn(2, 3, 32, 32)
        self.found = discover(teacher, example)
        even = range(len(self.found) // options.layers - 1, len(self.found), len(self.found) // options.layers)
        deepest = [layer for layer in self.found if layer.kind == "block"][-1].index
        self.teacher_layers = [self.found[min(i, deepest)] for i in list(even)[: options.layers]]
        self.student_layers = selection.student_layers(discover(student, example), options.layers)

    def network(self, side: str) -> torch.nn.Module:
        torch.manual_seed(0)
        return build(self.names[side], CLASSES, 3, 32)

    def recipe(self, name: str) -> object:
        needs = get(name).needs_teacher
        names = {"student_layers": self.student_layers, "teacher_layers": self.teacher_layers} if needs else {}
        setup = Setup(
            self.network("student"), self.network("teacher") if needs else None, CLASSES,
            **{key: tuple(layer.name for layer in side) for key, side in names.items()},
            **{key.replace("layers", "shapes"): tuple(layer.shape for layer in side) for key, side in names.items()},
        )  # fmt: skip
        return get(name)(setup)

    def data(self) -> TrainData:
        def source(order: Order) -> Loader:
            return Loader(
                self.samples, range(len(self.labels)), order.batch_size, self.how, self.how if order.teacher else None,
                shuffle=order.shuffle, drop_last=order.drop_last, device=order.device,
            )  # fmt: skip

        few = range(CLASSES)
        return TrainData(source, lambda order: Loader(self.samples, few, 10, self.how, shuffle=False, drop_last=False,
                         device=order.device), range(len(self.labels)), Guess.of(list(few)))  # fmt: skip

    def ours(self, name: str, cache: bool, **settings: object) -> tuple[float, dict[str, str]]:
        """Images/s between the progress events after `warmup` steps and at the end; and the choices with reasons.
        `settings`: of the configuration, in place of `auto`."""
        steps = self.options.steps
        config = DistillConfig(epochs=10_000, max_steps=steps, batch_size=self.options.batch_size, cache_teacher=cache,
                               fit_head=False, device=str(self.device), **settings)  # fmt: skip
        marks: list[tuple[int, float]] = []
        with tempfile.TemporaryDirectory() as folder:
            for event in train(self.recipe(name), self.data(), config, Path(folder), Control()):
                if event.kind == "resolved":
                    reasons = event.data["reasons"]
                if event.kind == "metrics" and event.data["split"] == "train":
                    marks.append((event.data["step"], probe.clock()))
        first = next(mark for mark in marks if mark[0] >= self.options.warmup)
        (step, start), (end_step, end) = first, marks[-1]
        return (end_step - step) * self.options.batch_size / (end - start), reasons

    def teacher_forward(self, mode_text: str) -> float:
        """Images/s of the teacher up to its deepest chosen layer, in the mode that the live run chose for it."""
        mode = probe.Mode("bf16" if "bf16" in mode_text else "fp32", "channels_last" in mode_text)
        teacher = self.network("teacher").to(self.device).eval()
        mode.prepare(teacher)
        images = mode.layout(torch.randn(self.options.batch_size, 3, 32, 32, device=self.device))
        names = [self.teacher_layers[-1].name]

        def forward() -> None:
            with torch.no_grad(), mode.autocast(self.device):
                run_until(teacher, names, images)

        return self.options.batch_size / probe._timed(forward, self.device, repeats=10)

    def naive(self) -> float:
        data = naive.Images(self.pixels, self.labels, self.how.mean, self.how.std)
        layers = [[layer.name for layer in side] for side in (self.student_layers, self.teacher_layers)]
        return naive.train(self.network("student"), self.network("teacher"), *layers, data, self.options.batch_size,
                           self.options.steps, self.options.warmup, self.device)  # fmt: skip


def main() -> None:
    options = parse()
    probe.MIN_STEPS, probe.MIN_RUN_SECONDS = 0, 0.0  # short as it is, measure what a long run would choose
    loop.METRICS_SHARE = 1 / 12  # and read metrics as seldom
    if options.cpu_time:
        probe.clock = time.process_time
    bench = Bench(options)
    alone, alone_why = bench.ours("cross_entropy", cache=False)
    if options.alone:
        print(f"student alone: {alone:.0f} images/s, {alone_why['student_mode']}")
        if options.json:
            options.json.write_text(json.dumps({"images_per_second": {"alone": alone}}))
        return
    live, live_why = bench.ours("feature_only", cache=False)
    cached, cached_why = bench.ours("feature_only", cache=True)
    slow = bench.naive()
    teacher = bench.teacher_forward(live_why["teacher_mode"].partition(":")[0])
    bound = 1 / (1 / alone + 1 / teacher)
    aims = {
        "cached / alone, aim 0.85": cached / alone,
        "live / (1 / (1/alone + 1/teacher)), aim 0.9": live / bound,
        f"cached / naive, aim {3 if bench.device.type == 'cuda' else 2.5:g}": cached / slow,
    }
    result = {
        "teacher": f"{options.teacher} width {options.width}", "student": f"{options.student} width {options.width}",
        "batch_size": options.batch_size, "steps": options.steps, "torch": torch.__version__,
        "machine": torch.cuda.get_device_name() if bench.device.type == "cuda" else platform.processor(),
        "threads": torch.get_num_threads(), "clock": probe.clock.__name__,
        "teacher_layers": [layer.name for layer in bench.teacher_layers],
        "images_per_second": {"alone": alone, "live": live, "cached": cached, "naive": slow,
                              "teacher forward": teacher},
        "aims": aims,
        "modes": {"alone": alone_why["student_mode"], "live": live_why["student_mode"],
                  "cached": cached_why["student_mode"], "teacher": live_why["teacher_mode"]},
    }  # fmt: skip
    if options.modes:
        result["by mode"] = {name: bench.ours("feature_only", cache=True, **mode)[0] for name, mode in MODES.items()}
        if bench.device.type == "cuda":
            result["by mode"][GRAPHS] = with_graphs(bench)
    show(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def with_graphs(bench: Bench) -> float | str:
    """Images/s of the compiled mode where the compiler records CUDA graphs; a text where it cannot train so."""
    from torch._inductor import config

    torch.compiler.reset()
    try:
        with config.patch({"triton.cudagraphs": True}):
            return bench.ours("feature_only", cache=True, **list(MODES.values())[-1])[0]
    except RuntimeError as error:  # a tensor of an earlier step that a later one has written over, among others
        return f"refused: {str(error).splitlines()[0]}"
    finally:
        torch.compiler.reset()


def show(result: dict) -> None:
    print(f"{result['teacher']} -> {result['student']}, batch {result['batch_size']}, {result['steps']} steps, "
          f"{result['machine']}, {result['threads']} threads, {result['clock']}, torch {result['torch']}")  # fmt: skip
    for name, value in result["images_per_second"].items():
        print(f"  {name:16} {value:10.0f} images/s   {result['modes'].get(name, '')[:90]}")
    for name, value in result.get("by mode", {}).items():
        told = value if isinstance(value, str) else f"{value:10.0f} images/s"
        print(f"  cached, {name:42} {told}")
    for name, value in result["aims"].items():
        print(f"  {name:46} {value:6.2f}")


if __name__ == "__main__":
    main()
