"""The last classifier fitted anew, on features that no longer move (docs/decisions/0016).

While it trains, a head chases features that still change, at the backbone's learning rate; short runs leave it far from
the best classifier of the features it stands on. After training that classifier is a convex problem, solved here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.answers import Answer
from distill.errors import InvalidConfig
from distill.head_samples import LEAST_A_CLASS, most_in_time
from distill.layers.modes import evaluating
from distill.recipe_parts.networks import run_logits
from distill.training.data import Source
from distill.training.mode import Mode

PENALTIES = tuple(10 ** (1 - i / 2) for i in range(13))  # from 10, near the trained head, to 1e-5, far from it
ITERATIONS = 100  # L-BFGS iterations a penalty
MEMORY_BYTES = 2**30  # for features, and for logits and what their gradient needs


@dataclass(frozen=True)
class HeadFit:
    """What the fit did. `fitted`: the head changed; `reason` says why, or why not. `penalty` is the best lambda;
    losses are mean cross-entropies (nats), with the classes' weights if they have some, and accuracies shares, on the
    validation samples, of the trained head and of the best fit, whether it was taken or not."""

    fitted: bool
    reason: str
    samples: int = 0
    penalty: float | None = None
    loss_before: float | None = None
    loss_after: float | None = None
    accuracy_before: float | None = None
    accuracy_after: float | None = None
    seconds: float = field(default=0.0, compare=False)  # of all of it, the passes over the samples included

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Rows:
    """What enters the classifier, (n, d), with labels (n,); `class_weights` (C,): how much each class counts, None:
    alike."""

    features: Tensor
    labels: Tensor
    class_weights: Tensor | None = None

    def mean(self, values: Tensor) -> Tensor:
        """The mean of (n,) values, each row counted by its class's weight."""
        if self.class_weights is None:
            return values.mean()
        weights = self.class_weights.to(values)[self.labels]
        return (weights * values).sum() / weights.sum()


AUTO = "the better fit by validation loss is taken where the validation accuracy is not lower, whatever the recipe"


def fits(asked: bool | Literal["auto"], answer: Answer) -> tuple[bool, str]:
    """Whether the classifier is fitted anew, and why: one rule for every recipe. `auto`: wherever the answers are one
    class a row. Raises `InvalidConfig` where it is asked for and cannot be."""
    why_not = answer.no_fit()
    if asked is True and why_not:
        raise InvalidConfig(
            f"The classifier cannot be fitted anew: {why_not}.",
            "Leave fit_head out, or set it to false.",
            {"field": "fit_head", "value": True},
        )
    if asked != "auto":
        return asked, "given"
    return (False, f"cannot be done: {why_not}") if why_not else (True, AUTO)


def most_samples(available: int, seen: int, head: nn.Linear) -> int:
    """How many of the `available` training samples to use after training saw `seen`: bounded in time and memory."""
    memory = MEMORY_BYTES // (4 * (head.in_features + 4 * head.out_features))
    return min(most_in_time(available, seen, head.weight.numel(), head.weight.device.type), memory)


@torch.no_grad()
def classifier_of(network: nn.Module, example: Any) -> nn.Linear | None:
    """The linear layer whose output, for one row a sample, is the logits; None: the network has no such layer."""
    found: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append((module, inputs[0], output))  # type: ignore[arg-type]

    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    handles = [module.register_forward_hook(note) for module in linear]
    try:
        with evaluating(network):
            logits = run_logits(network, example)
    finally:
        for handle in handles:
            handle.remove()
    heads = [m for m, rows, out in found if rows.dim() == 2 and out.shape == logits.shape and torch.equal(out, logits)]
    return heads[0] if len(heads) == 1 else None


@torch.no_grad()
def rows_of(
    network: nn.Module, head: nn.Linear, source: Source, mode: Mode, most: int | None, stop: Callable[[], bool]
) -> Rows | None:
    """What enters `head` in eval mode and fp32, for the first `most` samples of `source`. None: `stop` said so."""
    taken: list[Tensor] = []
    labels: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0].float()))
    try:
        with evaluating(network):
            for batch in source.epoch(0):
                if stop():
                    return None
                run_logits(network, mode.layout(batch.student))
                labels.append(batch.labels)
                if most is not None and sum(map(len, labels)) >= most:
                    break
    finally:
        handle.remove()
    return Rows(torch.cat(taken)[:most], torch.cat(labels)[:most])


def fit_head(
    network: nn.Module,
    train: Source,
    validation: Source,
    mode: Mode,
    most: Callable[[nn.Linear], int],
    stop: Callable[[], bool] = lambda: False,
    *,
    keep_accuracy: bool = False,
    class_weights: Tensor | None = None,
) -> HeadFit | None:
    """Fit the classifier of `network` in place; None when `stop` said to leave.

    min over (D, d) of  mean CE(X (W + D)^T + b + d, y) + lambda/2 ||D sigma||_F^2

    The mean counts each row by its class's weight where `class_weights` (C,) are given, as do the validation loss and
    the accuracy that judge the fit: it must not undo what training did for rare classes.

    X (n, width): what enters the classifier, backbone frozen and in eval mode, of unaugmented training samples; W, b:
    the trained classifier; sigma: the features' deviations. Convex, by L-BFGS, from lambda = 10 on a path to 1e-5 that
    ends where the validation loss grows again; the lambda of the least validation loss is taken, and nothing changes
    where none beats the trained head. `keep_accuracy`: nor where the validation accuracy would be lower, as it can be
    of a head that has learnt from a teacher's answers, though the loss on the labels falls. No gradient leaves the
    classifier. All of it is **our choice**: section 2 of docs/methods.md says that the labels train the head, not for
    how long.
    """
    first = next(iter(validation.epoch(0)))
    head = classifier_of(network, mode.layout(first.student))
    if head is None:
        return HeadFit(False, "its logits are not what one linear layer makes of one row a sample")
    samples = most(head)
    if samples < LEAST_A_CLASS * head.out_features:
        return HeadFit(
            False, f"{samples:,} samples are too few for {head.out_features:,} classes (more would take too long)"
        )
    held = rows_of(network, head, validation, mode, None, stop)
    found = held and rows_of(network, head, train, mode, samples, stop)
    if held is None or found is None:
        return None
    found, held = (replace(rows, class_weights=class_weights) for rows in (found, held))
    return fit_linear(head, found, held, stop, keep_accuracy=keep_accuracy)


def fit_linear(
    head: nn.Linear,
    found: Rows,
    held: Rows,
    stop: Callable[[], bool] = lambda: False,
    *,
    keep_accuracy: bool = False,
) -> HeadFit | None:
    """The fit itself: of `head`, in place, to the rows `found`, judged by those of the validation samples, `held`. None
    when `stop` said to leave."""
    if not (found.features.isfinite().all() and held.features.isfinite().all()):
        return HeadFit(False, "its features are not all finite")
    before = _Score.of(head.weight, head.bias, held)
    best, penalty, weights = before, None, None
    problem = _Problem(head, found)
    for tried in PENALTIES:
        if stop():
            return None
        solved = problem.solve(tried)
        score = _Score.of(solved["weight"], solved.get("bias"), held)
        if not score.loss < best.loss:  # a NaN ends the path too
            break
        best, penalty, weights = score, tried, solved
    told = partial(
        HeadFit, samples=len(found.labels), penalty=penalty, loss_before=before.loss, loss_after=best.loss,
        accuracy_before=before.accuracy, accuracy_after=best.accuracy,
    )  # fmt: skip
    if weights is None:
        return told(False, "no other classifier of these features has a lower validation loss")
    if keep_accuracy and best.judged < before.judged:
        return told(False, "the classifier with the least validation loss has a lower validation accuracy")
    with torch.no_grad():
        for name, value in weights.items():
            getattr(head, name).copy_(value)
    return told(True, "the classifier with the least validation loss")


@dataclass(frozen=True)
class _Score:
    """What a classifier makes of the validation samples."""

    loss: float
    correct: Tensor  # (n,) bool
    judged: float  # the share that is right, each row counted by its class's weight

    @classmethod
    @torch.no_grad()
    def of(cls, weight: Tensor, bias: Tensor | None, rows: Rows) -> _Score:
        logits = F.linear(rows.features, weight, bias)
        losses, correct = F.cross_entropy(logits, rows.labels, reduction="none"), logits.argmax(1) == rows.labels
        return cls(float(rows.mean(losses)), correct, float(rows.mean(correct.double())))

    @property
    def accuracy(self) -> float:
        return float(self.correct.double().mean())


class _Problem:
    """The fit in whitened features, where one penalty suits every width and scale; its path starts where it was."""

    @torch.no_grad()
    def __init__(self, head: nn.Linear, rows: Rows) -> None:
        self.head, self.rows = head, rows
        deviation = rows.features.std(0, unbiased=False)
        alive = deviation > 1e-6 * deviation.max()
        self.scale = torch.where(alive, 1 / deviation.clamp(min=1e-30), 0)  # a dead feature stays as it is
        # Without a bias nothing could take up what centring takes away.
        self.mean = rows.features.mean(0) if head.bias is not None else torch.zeros_like(deviation)
        self.features = (rows.features - self.mean) * self.scale
        self.base = F.linear(rows.features, head.weight.float(), None if head.bias is None else head.bias.float())
        self.weight = torch.zeros_like(head.weight, dtype=torch.float32, requires_grad=True)
        self.bias = torch.zeros(head.out_features, device=head.weight.device)
        self.bias.requires_grad_(head.bias is not None)

    def solve(self, penalty: float) -> dict[str, Tensor]:
        """The head's parameters by name at this penalty."""
        variables = [value for value in (self.weight, self.bias) if value.requires_grad]
        optimizer = torch.optim.LBFGS(variables, max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            logits = self.base + F.linear(self.features, self.weight, self.bias)
            losses = F.cross_entropy(logits, self.rows.labels, reduction="none")
            value = self.rows.mean(losses) + penalty / 2 * self.weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        with torch.enable_grad():
            optimizer.step(loss)  # type: ignore[no-untyped-call]
        return self._unwhitened()

    @torch.no_grad()
    def _unwhitened(self) -> dict[str, Tensor]:
        change = self.weight * self.scale
        found = {"weight": self.head.weight + change}
        if self.head.bias is not None:
            found["bias"] = self.head.bias + self.bias - change @ self.mean
        return found
