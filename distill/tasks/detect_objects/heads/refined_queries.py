"""Detectors of object queries whose boxes are refined by distributions of their sides: D-FINE."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.models.queries import Queries, Refined, corners_of
from distill.tasks.detect_objects.geometry import giou
from distill.tasks.detect_objects.heads.queries import QueryHead

Pairs = tuple[Tensor, Tensor]
"""Numbers of queries and of the objects that they are matched to, (k,) each."""


class RefinedQueryHead(QueryHead):
    """Rows (n, (L + 2) Q, 4 (B + 1) + 4 + C + 6) (`distill.models.queries.Refined`)."""

    def read(self, rows: Tensor) -> Queries:
        return Queries.of(rows[..., Refined.columns(self.config.max_num_bins) :])

    def criterion(self) -> Any:
        from transformers.loss.loss_d_fine import DFineLoss

        return DFineLoss(self.config)

    def layers(self, rows: Tensor) -> list[dict[str, Tensor]]:
        """The encoder's choice, the start, and the decoder's layers; of the last ones their distances, those of the
        last layer and its logits, from which the others learn."""
        found, count = super().layers(rows), self.config.num_queries
        beside = Refined.of(rows, self.config.max_num_bins)
        last = {"teacher_corners": beside.distances[:, -count:], "teacher_logits": found[-1]["logits"]}
        parts = zip(beside.distances.split(count, 1), beside.start.split(count, 1), strict=True)  # type: ignore[no-untyped-call]
        more = [{"pred_corners": distances, "ref_points": start} | last for distances, start in parts]
        return found[:2] + [one | two for one, two in zip(found[2:], more[2:], strict=True)]

    def image_loss(self, criterion: Any, layers: list[dict[str, Any]], target: dict[str, Tensor]) -> Tensor:
        """The authors' loss (Peng et al. 2024, arXiv 2410.13842; `src/zoo/dfine/dfine_criterion.py` of
        github.com/Peterande/D-FINE, commit 4a1f73a) without denoising queries. Summed over the layers, each term with
        the configuration's weight:

            varifocal loss of the classes, by the layer's own matches, / N
            L1 and GIoU of the boxes, by the matches of all layers together, / M
            of the decoder's layers, by the same matches: the cross-entropy of each side's distance between the two
            bins beside it, weighted by the box's IoU, / M; and T^2 KL to the last layer's distances, T = 5

        N: the image's objects; M: the matches of all layers, both at least 1. The terms are transformers' own; what
        pairs them is ours, since transformers (5.23) pairs the classes of one layer with the distances of the next,
        gives the last layer no distances, and matches each layer alone. A box of negative width or height, which a
        refinement may give, counts as one of none; the matching counts its L1 so too (**our choice**: transformers'
        matching takes no such box)."""
        layers = [layer | {"pred_boxes": _proper(layer["pred_boxes"]), "raw": layer["pred_boxes"]} for layer in layers]
        own = [criterion.matcher(layer, [target])[0] for layer in layers]
        together = union(own)
        objects, matches = max(1, len(target["boxes"])), max(1, len(together[0]))
        terms = []
        for layer, pairs in zip(layers, own, strict=True):
            parts = criterion.loss_labels_vfl(layer, [target], [pairs], objects) | _boxes(layer, target, together)
            parts |= criterion.loss_local(layer, [target], [together], 1)
            terms += [
                criterion.weight_dict[name] * (value / matches if name in _BY_MATCHES else value)
                for name, value in parts.items()
            ]
        return torch.stack(terms).sum()


_BY_MATCHES = ("loss_bbox", "loss_giou", "loss_fgl")


def _proper(boxes: Tensor) -> Tensor:
    return torch.cat([boxes[..., :2], boxes[..., 2:].clamp(min=0)], -1)


def _boxes(layer: dict[str, Any], target: dict[str, Tensor], pairs: Pairs) -> dict[str, Tensor]:
    """Sums over the matches. L1 sees negative sides, so that they can be unlearnt."""
    queries, objects = pairs
    wanted = target["boxes"][objects]
    apart = 1 - giou(corners_of(layer["pred_boxes"][0, queries]), corners_of(wanted))
    return {"loss_bbox": (layer["raw"][0, queries] - wanted).abs().sum(), "loss_giou": apart.sum()}


def union(layers: list[Pairs]) -> Pairs:
    """Each query that some layer matches, in order, with the object that most layers match it to; of several the first
    (**our choice**: the authors' sort leaves it open)."""
    counts: dict[int, dict[int, int]] = {}
    for queries, objects in layers:
        for query, number in zip(queries.tolist(), objects.tolist(), strict=True):
            of = counts.setdefault(query, {})
            of[number] = of.get(number, 0) + 1
    found = {query: max(sorted(of), key=of.__getitem__) for query, of in sorted(counts.items())}
    return torch.tensor(list(found), dtype=torch.long), torch.tensor(list(found.values()), dtype=torch.long)
