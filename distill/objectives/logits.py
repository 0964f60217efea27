"""Losses on logits (n, C), in fp32; recipes weigh them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Mean over the batch of -ln softmax(logits)[label]; logits (n, C), labels (n,) int or shares (n, C). Nats.

    `label_smoothing` e in [0, 1): the target is (1 - e) one-hot(label) + e / C (Szegedy et al., arXiv 1512.00567).
    `class_weights` w (C,): L = -(1 / n) sum_i sum_c w_c target_ic ln p_ic. The divisor is n, not the batch's weights as
    in torch, so that accumulated batches and several processes give what one batch gives.
    """
    if class_weights is None:
        return F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
    weights = class_weights.to(logits.device)
    total = F.cross_entropy(logits.float(), labels, weights, reduction="sum", label_smoothing=label_smoothing)
    return total / len(logits)


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float, reverse: bool = False) -> Tensor:
    """T^2 KL( softmax(teacher / T) || softmax(student / T) ), mean over the batch; student, teacher (n, C).

    >= 0 nats. The T^2 keeps the gradient's scale as T grows, since KL's own falls like 1 / T^2; it stands here once
    and nowhere else. The gradient goes to the student and, unless detached, to the teacher. `reverse`: KL of the
    teacher from the student, which seeks one mode of the teacher's instead of covering all.
    """
    log_p = F.log_softmax(teacher.float() / temperature, dim=-1)
    log_q = F.log_softmax(student.float() / temperature, dim=-1)
    log_p, log_q = (log_q, log_p) if reverse else (log_p, log_q)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * temperature**2


def standardise(logits: Tensor) -> Tensor:
    """Per sample z-scores over the classes: (x - mean) / sqrt(variance + 1e-7); (n, C) -> (n, C) in fp32.

    The population variance (**our choice**: divisor C); equal logits become 0, with a finite gradient.
    """
    logits = logits.float()
    centred = logits - logits.mean(-1, keepdim=True)
    return centred * (centred.square().mean(-1, keepdim=True) + 1e-7).rsqrt()
