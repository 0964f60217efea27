"""`python -m benchmarks.text.speed [--json FILE]`: sequences a second of (a) the student alone, (b) distillation with a
live teacher, (c) with cached targets, (d) transformers' plain loop: random batches padded to their longest, teacher
forward, KL and cross-entropy, AdamW. One run, one machine, one batch size; random weights and tokens."""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import distill.torchvision_shim  # noqa: F401  (before transformers, which imports torchvision)

# isort: split
from transformers import BertConfig, BertForSequenceClassification

from distill.answers.base import Guess
from distill.control import Control
from distill.layers import SequenceView
from distill.modalities.text import TextLoader, TokenSamples
from distill.modalities.text.loader import collate
from distill.modalities.text.packing import TokenPacking
from distill.recipe_parts.base import Setup
from distill.recipes import get
from distill.train import train
from distill.training.data import Order, TrainData
from distill.types import DistillConfig

CLASSES, VOCABULARY = 5, 30_522
LAYERS = {"teacher": ("bert.encoder.layer.2", "bert.encoder.layer.5"), "student": ("bert.encoder.layer.0", "bert.encoder.layer.1")}  # fmt: skip  # noqa: E501


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--teacher-width", type=int, default=384)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, torch.device(options.device)
        count = options.batch_size * 16
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(count, generator=generator).mul(0.7).exp() * options.max_length / 4  # many short, few long
        lengths = drawn.clamp(4, options.max_length).long()
        starts = lengths.cumsum(0) - lengths
        ids = torch.randint(VOCABULARY, (int(lengths.sum()),), generator=generator).int()
        self.samples = TokenSamples(ids, starts, lengths, None, None, torch.arange(count) % CLASSES, 0.0)
        self.count = count

    def network(self, side: str) -> Any:
        torch.manual_seed(0)
        width, layers = (self.options.teacher_width, 6) if side == "teacher" else (128, 2)
        return BertForSequenceClassification(BertConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 32, intermediate_size=4 * width,
            num_labels=CLASSES,
        )).to(self.device)  # fmt: skip

    def ours(self, recipe: str, cached: bool | None = None) -> float:
        """Sequences a second of `distill.train`, validation and checkpoints included."""
        teacher = self.network("teacher") if get(recipe).needs_teacher else None
        shapes = {"student_shapes": ((128,),) * 2, "teacher_shapes": ((self.options.teacher_width,),) * 2}
        names = {f"{side}_layers": LAYERS[side] for side in LAYERS}
        setup = Setup(
            student=self.network("student"), teacher=teacher, num_classes=CLASSES, view=SequenceView("cls"),
            **(names | shapes if get(recipe).needs_layers else {}),
        )  # fmt: skip
        epochs = -(-self.options.steps * self.options.batch_size // self.count)
        config = DistillConfig(
            recipe=recipe, epochs=epochs, max_steps=self.options.steps, batch_size=self.options.batch_size,
            learning_rate=1e-4, device=self.options.device, cache_teacher=bool(cached), compile=False, fit_head=False,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            events = train(get(recipe)(setup), self.data(), config, Path(folder), Control())
            while True:
                try:
                    next(events)
                except StopIteration as end:
                    return float(end.value.images_per_second)

    def data(self) -> TrainData:
        everything = torch.arange(self.count)

        def source(indices: torch.Tensor, order: Order) -> TextLoader:
            return TextLoader(
                self.samples, indices, order.batch_size, 0, self.options.max_length, shuffle=order.shuffle,
                drop_last=order.drop_last, device=order.device, teacher=order.teacher,
            )  # fmt: skip

        few = everything[: self.options.batch_size]
        return TrainData(
            open_train=lambda order: source(everything, order), open_validation=lambda order: source(few, order),
            indices=everything.tolist(), guess=Guess.of((few % CLASSES).tolist()),
            packing=TokenPacking(self.samples.lengths),
        )  # fmt: skip

    def plain(self) -> float:
        """What one writes by hand with transformers."""
        teacher, student = self.network("teacher").eval(), self.network("student").train()
        optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4)
        order = torch.randperm(self.count)
        start = None
        for step in range(self.options.steps + 3):
            if step == 3:
                start = time.perf_counter()
            at = step * self.options.batch_size % self.count
            index = order[at : at + self.options.batch_size]
            inputs, labels = collate(self.samples, index, 0, self.options.max_length)
            inputs, labels = {k: v.to(self.device) for k, v in inputs.items()}, labels.to(self.device)
            with torch.no_grad():
                taught = teacher(**inputs).logits
            output = student(**inputs, labels=labels)
            soft = F.kl_div((output.logits / 4).log_softmax(-1), (taught / 4).softmax(-1), reduction="batchmean") * 16
            (output.loss + soft).backward()
            optimizer.step()
            optimizer.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        assert start is not None
        return self.options.steps * self.options.batch_size / (time.perf_counter() - start)


def main() -> None:
    options = parse()
    bench = Bench(options)
    name = torch.cuda.get_device_name(0) if bench.device.type == "cuda" else platform.machine()
    found = {
        "student alone (cross_entropy)": bench.ours("cross_entropy"),
        "logit, live teacher": bench.ours("logit", cached=False),
        "logit, cached targets": bench.ours("logit", cached=True),
        "feature_logit, live teacher": bench.ours("feature_logit", cached=False),
        "feature_logit, cached targets": bench.ours("feature_logit", cached=True),
        "transformers' plain loop (logit)": bench.plain(),
    }
    mean = float(bench.samples.lengths.float().mean())
    about = f"batch {options.batch_size}, at most {options.max_length} tokens, mean {mean:.0f}"
    print(f"{name}, {torch.get_num_threads()} threads, {about}; sequences a second:")
    for what, speed in found.items():
        print(f"{what:36} {speed:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
