"""What a job will take, before it runs: operations, host memory, disk. Arithmetic alone, torch-free; the API asks.

Every constant here that no formula gives is **our choice**, and is why the figures come with a range.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from distill.head_samples import LEAST_A_CLASS, most_in_time
from distill.scoring_memory import Sizes, held
from distill.types import DistillConfig

PROCESS_BYTES = 600 * 2**20  # a trainer with torch, timm and scikit-learn imported and nothing built
VALUE_BYTES = 4  # fp32
SCORE_COPIES = 4  # of a batch's cosines with one bank of a recipe's memory: themselves, exponentials, both gradients
BACKWARD = 3  # a training step's operations in forward passes: the backward pass is two
TEMPORARY = 1.5  # activations kept for the backward pass and what operations need beside them
KEPT_SHARE = 0.3  # of a network's activations that are alive at once where nothing is kept for a backward pass
KEPT_CHECKPOINTS = 2
LOGIT_COPIES = 2  # beside the logits themselves: their softmax and their gradient
EXPORTS_BYTES = 3 * 2**20  # report, curve, plots, card
HEAD_WIDTH = 512  # features of one sample that a classifier reads: a ResNet-34's
ASSUMED_CLASSES = 10  # by which samples are scored, where nobody counted them
HEAD_EVALUATIONS = 300  # of L-BFGS over its whole path of penalties: 130 to 420 were counted


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """Of one sample's forward pass, as `distill.models.measure` counts. `flops`: a multiply-add counts as 2;
    `activation_bytes`: the outputs of all leaf modules in fp32; `modules`: how many there are."""

    parameters: int
    flops: int
    activation_bytes: int
    modules: int

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> NetworkCost:
        return cls(**{name: int(data[name]) for name in ("parameters", "flops", "activation_bytes", "modules")})

    @classmethod
    def together(cls, costs: Iterable[NetworkCost]) -> NetworkCost | None:
        """Of networks that see a sample one after the other; None of none."""
        found = [(c.parameters, c.flops, c.activation_bytes, c.modules) for c in costs]
        return cls(*map(sum, zip(*found, strict=True))) if found else None


@dataclass(frozen=True, slots=True)
class SampleWork:
    """What a task says of its samples (`distill.tasks.forecast`). `bytes` of one that is kept decoded (an image's
    pixels, a text with its tokens); `features`: scored values of one sample over all layers, None: an eighth of what
    all modules give (our choice); `logit_bytes`: a batch's fp32 logits where they are more than a row a sample;
    `cached_logit_bytes`: the teacher's, kept for one sample; `evaluation_bytes`: activations of one evaluation batch;
    `generated`: what else the report asks of a network than one pass over the test set, in forward passes of one
    sample."""

    bytes: int
    features: int | None = None
    logit_bytes: int = 0
    cached_logit_bytes: int = 0
    evaluation_bytes: int = 0
    generated: float = 0.0


@dataclass(frozen=True, slots=True)
class Workload:
    """A job as arithmetic sees it. `train`, `validation`, `test`: samples used; `sample`: what one of them takes;
    `input_bytes` of the files that a worker fetches; `classes`: 0 where nobody knows; `fits_head`: whether the task has
    a classifier that may be fitted after training; `optimizer_state`: values that the optimizer keeps for each trained
    one (`distill.optimisation.Facts`); `remembered`: values that the recipe keeps of each training sample
    (`distill.recipes.remembered`); `shares`: in how many the networks lie on as many processes while they train."""

    config: DistillConfig
    student: NetworkCost
    teacher: NetworkCost | None
    needs_layers: bool
    train: int
    validation: int
    test: int
    sample: SampleWork
    input_bytes: int = 0
    classes: int = 0
    fits_head: bool = True
    optimizer_state: float = 2.0
    remembered: int = 0
    shares: int = 1

    @property
    def features(self) -> int:
        """Scored values of one sample over all of the teacher's layers."""
        if self.sample.features is not None:
            return self.sample.features
        return self.teacher.activation_bytes // 8 if self.teacher else 0

    @property
    def batches(self) -> int:
        """Batches an epoch. Incomplete ones are dropped; fewer samples than a batch holds make one batch."""
        return max(1, self.train // self.config.batch_size)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        steps = ceil(self.batches / self.config.gradient_accumulation) * self.config.epochs
        return steps if self.config.max_steps is None else min(steps, self.config.max_steps)

    @property
    def samples_seen(self) -> int:
        """Each as often as it is seen; the last step of an epoch may have fewer batches than the others."""
        group = self.config.gradient_accumulation
        epochs, steps = divmod(self.steps, ceil(self.batches / group))
        batches = epochs * self.batches + min(steps * group, self.batches)
        return batches * min(self.config.batch_size, self.train)

    @property
    def cached(self) -> bool:
        """Whether the teacher's targets are computed once for all epochs, as `distill.training.cache.plan` decides."""
        passes, wanted = self.samples_seen / max(1, self.train), self.config.cache_teacher
        fixed = not self.config.augments and wanted is not False
        return fixed and self.teacher is not None and (wanted is True or passes >= 1.5)


def split_sizes(train: int, test: int, config: DistillConfig) -> tuple[int, int, int]:
    """Samples to train, validate and test on, of a dataset with `train` and `test` of them."""
    kept = min(train, config.train_limit or train)
    validation = round(kept * config.validation_fraction)
    return kept - validation, validation, min(test, config.test_limit or test)


def training_flops(work: Workload) -> int:
    """samples x 3 x student, and the teacher for every batch or, cached, once a sample; validation after each epoch."""
    epochs = max(1, round(work.samples_seen / max(1, work.train)))
    taught = (work.train if work.cached else work.samples_seen) * work.teacher.flops if work.teacher else 0
    return work.samples_seen * BACKWARD * work.student.flops + taught + epochs * work.validation * work.student.flops


def head_flops(work: Workload) -> int:
    """The classifier's fit after training (docs/decisions/0016), apart from `training_flops`:

    (n + v) s + E 4 n d C,   n = min(train, max(10,000, seen / 10), 5e9 / (d C))

    One pass of the student (s operations) over n training and v validation samples, and E evaluations of L-BFGS, each a
    product of features and weights and its gradient, of n samples x d features x C classes. d and E are **our choice**
    (`HEAD_WIDTH`, `HEAD_EVALUATIONS`). 0 where nothing is fitted: `fit_head` is false, a task without one classifier
    over a sample's features, or n < 5 C.
    """
    if work.config.fit_head is False or not work.fits_head:
        return 0
    weights = HEAD_WIDTH * max(1, work.classes)
    n = most_in_time(work.train, work.samples_seen, weights)
    if n < LEAST_A_CLASS * work.classes:
        return 0
    return (n + work.validation) * work.student.flops + HEAD_EVALUATIONS * 4 * n * weights


def other_flops(work: Workload) -> int:
    """Scoring (N teacher passes, and N^2 d for the Gram matrix of every layer: docs/methods.md, section 1) and the test
    set, once for each network."""
    passes = work.test + work.sample.generated
    teacher, tested = work.teacher, int(passes * work.student.flops)
    if teacher is None:
        return tested
    n = min(work.config.quality_samples, work.train)
    scored = n * teacher.flops + n * n * work.features if work.needs_layers else 0
    return tested + int(passes * teacher.flops) + scored


def memory_bytes(work: Workload) -> int:
    """Peak resident bytes of the trainer on the host: the largest of scoring, training and evaluation. Only training
    has networks in shares."""
    config, student, teacher = work.config, work.student, work.teacher
    samples = work.sample.bytes * (work.train + work.validation + work.test)
    taught = teacher.parameters * 4 if teacher else 0
    base = PROCESS_BYTES + samples
    copies = 2 + work.optimizer_state + (config.ema_decay is not None)  # the values, their gradient, what is kept
    training = int(VALUE_BYTES * student.parameters * copies) // work.shares + _remembering_bytes(work)
    training += taught // work.shares
    training += int(config.batch_size * student.activation_bytes * TEMPORARY)
    training += int(config.batch_size * teacher.activation_bytes * KEPT_SHARE) if teacher else 0
    training += min(config.cache_memory_bytes, target_bytes(work)) if work.cached else 0
    training += LOGIT_COPIES * work.sample.logit_bytes
    return base + max(training, taught + _scoring_bytes(work), taught + work.sample.evaluation_bytes)


def bank_bytes(work: Workload) -> int:
    """What the recipe remembers of all training samples."""
    return VALUE_BYTES * work.train * work.remembered


def _remembering_bytes(work: Workload) -> int:
    """The banks, the copy of them that the backward pass reads, and a batch's cosines with both of them."""
    if not work.remembered:
        return 0
    scores = 2 * SCORE_COPIES * VALUE_BYTES * min(work.config.batch_size, work.train) * work.train
    return 2 * bank_bytes(work) + scores


def _scoring_bytes(work: Workload) -> int:
    if work.teacher is None or not work.needs_layers:
        return 0
    n, budget = min(work.config.quality_samples, work.train), work.config.quality_memory_bytes
    matrix, room = held(Sizes.even(n, work.classes or ASSUMED_CLASSES), budget, 0, work.features)
    matrices = 8 * n * (2 * n if matrix.height is None else matrix.height)
    return budget if room < 0 else min(budget, matrices + VALUE_BYTES * n * work.features)


def target_bytes(work: Workload) -> int:
    """Cached targets of every training sample: k average features in bf16; logits, where every token has some."""
    if work.teacher is None:
        return 0
    logits = work.train * work.sample.cached_logit_bytes
    if not work.needs_layers:
        return logits
    one = work.teacher.activation_bytes // max(1, work.teacher.modules) // 2
    return logits + work.train * work.config.most_layers * one


def disk_bytes(work: Workload) -> int:
    """Scratch and store together: what is fetched, the checkpoints that are kept in both, the student's exports, and
    targets that exceed the memory that is given to them."""
    one = int(VALUE_BYTES * work.student.parameters * (1 + work.optimizer_state)) + bank_bytes(work)
    checkpoints = 2 * KEPT_CHECKPOINTS * one
    exports = 2 * (2 * 4 * work.student.parameters + EXPORTS_BYTES)  # safetensors and ONNX
    targets = target_bytes(work) if work.cached and target_bytes(work) > work.config.cache_memory_bytes else 0
    return work.input_bytes + checkpoints + exports + targets
