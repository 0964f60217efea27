"""A detector as a graph for other runtimes: one tensor of boxes and scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.answers import logits_of
from distill.models.nms import suppress
from distill.tasks.detect_objects.detections import CANDIDATES, LEAST_SCORE, MOST, OVERLAP
from distill.tasks.detect_objects.heads import Scored, head_of

NO_ROW = (0.0, 0.0, 0.0, 0.0, 0.0, -1.0)
"""What stands where an image has fewer boxes: the class -1."""


class Flat(nn.Module):
    """(n, c, h, w) -> (n, Q, 4 + C): boxes x1 y1 x2 y2 in pixels of the input, and a score a class."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head_of(network)

    def forward(self, image: Tensor) -> Tensor:
        return self.head.scored(logits_of(self.network(image))).flat()


class Final(nn.Module):
    """(n, c, h, w) -> (n, m, 6), m at most 100: the boxes that `detect` gives, the best first, as x1 y1 x2 y2 in pixels
    of the input, score and class; then rows 0 0 0 0 0 -1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, head_of(network)

    def forward(self, image: Tensor) -> Tensor:
        return final(self.head.scored(logits_of(self.network(image))), self.head.kind.suppresses)


def final(scored: Scored, suppresses: bool) -> Tensor:
    """Of a batch: what `distill.tasks.detect_objects.detections.detect` does, in operators whose shapes do not depend
    on the values."""
    places, classes = scored.scores.shape[-2:]
    flat = scored.scores.flatten(1)
    best = flat.topk(min(CANDIDATES, places * classes), dim=1).indices.sort(dim=1).values
    device = flat.device
    of = torch.arange(classes, device=device).expand(places, classes).flatten()[best]
    where = torch.arange(places, device=device)[:, None].expand(places, classes).flatten()[best]
    each = scored.boxes.shape[-2] > 1
    corners = _rows(scored.boxes.flatten(1, 2), best if each else where)
    scores = flat.gather(1, best)
    scores = torch.where(scores >= LEAST_SCORE, scores, 0.0)
    if suppresses:
        mine = of[:, None] == torch.arange(classes, device=device)[:, None]
        kept = suppress(corners, torch.where(mine, scores[:, None], 0.0), OVERLAP, 0.0)
        scores = torch.where(kept.any(1), scores, 0.0)
    top, which = scores.topk(min(MOST, scores.shape[1]), dim=1)
    rows = torch.cat([_rows(corners, which), top[..., None], of.gather(1, which)[..., None].to(top.dtype)], -1)
    return torch.where(top[..., None] > 0, rows, torch.tensor(NO_ROW, dtype=top.dtype, device=device))


def _rows(values: Tensor, which: Tensor) -> Tensor:
    """(n, k, 4) of (n, Q, 4) at positions (n, k)."""
    return values.gather(1, which[..., None].expand(-1, -1, values.shape[-1]))


class Spread:
    """Rows (n, m, 6) of a `Final` of C `classes` -> (n, m, 4 + C) as a `Flat` has them."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __call__(self, rows: Tensor) -> Tensor:
        which = F.one_hot(rows[..., 5].round().long().clamp(min=0), self.classes)
        return torch.cat([rows[..., :4], which * rows[..., 4:5]], -1)


class Apart:
    """How far two outputs are from each other, in pixels: max |difference|, in which a difference of 1 of a score or a
    class counts as the input's longer `side`. Rows `in_place` are compared one by one. Others are those of a choice,
    which two near scores may order otherwise: each of the 100 best of one image has its nearest among all of the other.
    """

    def __init__(self, side: int, in_place: bool) -> None:
        self.side, self.in_place = side, in_place

    def __call__(self, found: Tensor, wanted: Tensor) -> float:
        ours, theirs = (self._weighed(each) for each in (found, wanted))
        if not ours.numel():
            return 0.0
        if self.in_place:
            return float((ours - theirs).abs().max())
        return max(max(_far(a, b), _far(b, a)) for a, b in zip(ours, theirs, strict=True))

    def _weighed(self, rows: Tensor) -> Tensor:
        return torch.cat([rows[..., :4], rows[..., 4:] * self.side], -1).double()


def _far(some: Tensor, others: Tensor) -> float:
    best = some[:, 4:].amax(1).topk(min(MOST, len(some))).indices
    return float(torch.cdist(some[best], others, p=float("inf")).amin(1).max())
