"""What a network is worth: accuracy with an interval, agreement with the teacher, size, operations, latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill import offload, processes
from distill.answers import Answer, ClassAnswer
from distill.layers.forward import batch_size, forward, tensors
from distill.layers.modes import evaluating
from distill.models.cost import cost
from distill.statistics import Difference, paired_difference, wilson
from distill.training.data import Source
from distill.training.mode import Mode

LATENCY_REPEATS, LATENCY_WARMUP, LATENCY_SECONDS = 50, 5, 5.0
_LEAST = -6e4  # log-probability: what fp16 holds
TOP5_ABOVE = 10  # classes; with fewer, top-5 says little


@dataclass(frozen=True)
class Predictions:
    """A network's answers row by row (a sample, or a token of an answer), in the source's order, on the CPU.
    `predicted`, `labels`: (n,) class indices, or token ids; `in_top5`: (n,) bool; `loss`: the mean loss on the
    labels; `log_probabilities`: (n, C) fp16, where they were to be kept."""

    predicted: Tensor
    labels: Tensor
    in_top5: Tensor
    loss: float
    log_probabilities: Tensor | None = None

    @property
    def correct(self) -> Tensor:
        return self.predicted == self.labels


@torch.no_grad()
def predictions(
    model: nn.Module, source: Source, device: torch.device, mode: Mode | None = None, answer: Answer | None = None,
    keep: bool = False,
) -> Predictions:  # fmt: skip
    """Run the network in eval mode (fp32 unless `mode` says otherwise) over the whole source, of which several
    processes take turns at the batches. `answer`: one of rows of classes, unless named `ClassAnswer`; `keep`: whether
    the result has `log_probabilities`."""
    mode, answer = mode or Mode(), answer or ClassAnswer()
    offload.put(model, device).eval()

    def answers(batch: Any) -> tuple[Tensor, ...]:
        with mode.autocast(device):
            output = forward(model, mode.layout(batch.student))
        compared = answer.compare(output, batch.labels)
        logits, labels = compared.outputs.float(), compared.labels
        top = logits.topk(min(5, logits.shape[1]), dim=1).indices
        losses = F.cross_entropy(logits, labels, reduction="none")
        kept = (logits.log_softmax(1).clamp(min=_LEAST).half(),) if keep else ()
        return top[:, 0], labels, (top == labels[:, None]).any(1), losses, *(each.cpu() for each in kept)

    columns = zip(*processes.dealt(source.epoch(0), answers), strict=True)
    predicted, labels, in_top5, losses, *kept = (torch.cat([part.cpu() for part in column]) for column in columns)
    return Predictions(predicted, labels, in_top5, float(losses.double().mean()), *kept)


def accuracy(found: Predictions, classes: Sequence[str], teacher: Predictions | None = None) -> dict[str, Any]:
    """`accuracy` (top-1), `top5` (more than 10 classes), `agreement` (share of rows with the teacher's answer), each a
    share with n and 95 % interval; `per_class` accuracies by name; `balanced_accuracy`, `macro_f1`; `loss`. Without
    `classes`, as of tokens, neither `top5` nor anything by class."""
    n = len(found.labels)
    result: dict[str, Any] = {"accuracy": wilson(int(found.correct.sum()), n).to_dict(), "loss": found.loss}
    if len(classes) > TOP5_ABOVE:
        result["top5"] = wilson(int(found.in_top5.sum()), n).to_dict()
    if teacher is not None:
        result["agreement"] = wilson(int((found.predicted == teacher.predicted).sum()), n).to_dict()
    if classes:
        result |= {"balanced_accuracy": balanced_accuracy(found), "macro_f1": macro_f1(found)}
        result["per_class"] = _per_class(found, classes)
    return result


def balanced_accuracy(found: Predictions) -> float:
    """Mean over the classes that have a row of the share of their rows that is right (their recall)."""
    right, labelled, _ = _counts(found)
    return float((right[labelled > 0] / labelled[labelled > 0]).mean())


def macro_f1(found: Predictions) -> float:
    """Mean over the classes that are a label or an answer of 2 TP / (labelled + answered)."""
    right, labelled, answered = _counts(found)
    either = labelled + answered
    return float((2 * right[either > 0] / either[either > 0]).mean())


def _counts(found: Predictions) -> tuple[Tensor, Tensor, Tensor]:
    """(C,) each, fp64: rows that are right, that have the label, and that were answered so."""
    classes = int(torch.stack([found.labels.max(), found.predicted.max()]).max()) + 1
    rows = (found.labels[found.correct], found.labels, found.predicted)
    right, labelled, answered = (torch.bincount(each, minlength=classes).double() for each in rows)
    return right, labelled, answered


def _per_class(found: Predictions, classes: Sequence[str]) -> dict[str, Any]:
    numbered = ((name, found.labels == number) for number, name in enumerate(classes))
    return {name: wilson(int(found.correct[rows].sum()), int(rows.sum())).to_dict() for name, rows in numbered}


def difference(first: Predictions, second: Predictions) -> Difference:
    """Accuracy of the first less that of the second, paired by sample."""
    only_first = int((first.correct & ~second.correct).sum())
    only_second = int((second.correct & ~first.correct).sum())
    return paired_difference(only_first, only_second, len(first.labels))


def price(model: nn.Module, example: Any, file_bytes: int | None = None) -> dict[str, Any]:
    """`parameters`, `flops` (one sample forward, a multiply-add is 2), `bytes` on disk, `latency` at batch 1.

    `example`: one input on the model's device.
    """
    counted = cost(model, example)
    size = counted.bytes if file_bytes is None else file_bytes
    return {"parameters": counted.parameters, "flops": counted.flops, "bytes": size, "latency": latency(model, example)}


@torch.no_grad()
def latency(model: nn.Module, example: Any, repeats: int = LATENCY_REPEATS) -> dict[str, Any]:
    """Milliseconds of one forward pass of `example` in eval mode: the median and the quartiles of up to `repeats` runs
    (fewer where 5 seconds are over, at least 3) after 5 to warm up. `offloaded`: True where each pass took the weights
    from the host's memory to the device (`distill.offload`), else absent."""
    with evaluating(model):
        for _ in range(LATENCY_WARMUP):
            _once(model, example)
        end, times = time.perf_counter() + LATENCY_SECONDS, list[float]()
        while len(times) < 3 or (len(times) < repeats and time.perf_counter() < end):
            times.append(_once(model, example) * 1e3)
    low, median, high = statistics.quantiles(times, n=4)
    moved = {"offloaded": True} if offload.rests(model) else {}
    return moved | {
        "median_ms": median, "quartiles_ms": [low, high], "n": len(times), "warmup": LATENCY_WARMUP,
        "batch_size": batch_size(example), "threads": torch.get_num_threads(), "device": _device_name(_device(example)),
        "dtype": "fp32",
    }  # fmt: skip


def _device(example: Any) -> torch.device:
    return next(tensors(example)).device


def _once(model: nn.Module, example: Any) -> float:
    start = time.perf_counter()
    forward(model, example)
    if _device(example).type == "cuda":
        torch.cuda.synchronize(_device(example))
    return time.perf_counter() - start


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
