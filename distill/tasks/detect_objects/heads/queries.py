"""Detectors of object queries: RT-DETR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from distill.answers import Distance
from distill.errors import InvalidConfig
from distill.models.points import grid
from distill.models.queries import Queries
from distill.tasks.detect_objects import answering
from distill.tasks.detect_objects.heads.base import Head, Scored
from distill.tasks.detect_objects.rows import Objects


class QueryHead(Head):
    """Rows (n, (L + 1) Q, C + 6) (`distill.models.queries`). `config`: the network's, which says its loss's weights."""

    kind = answering.QUERIES

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def of(cls, network: Any) -> Self:
        return cls(network.config)

    def read(self, rows: Tensor) -> Queries:
        """Rows (..., P, columns) by what their columns mean."""
        return Queries.of(rows)

    def classes(self, outputs: Tensor) -> int:
        return self.read(outputs).classes.shape[-1] if outputs.dim() == 3 else 0

    def scored(self, outputs: Tensor) -> Scored:
        found = self.read(outputs[..., -self.config.num_queries :, :])
        return Scored(found.corners()[..., None, :], found.classes.sigmoid())

    def cells(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the encoder's maps: queries have no places."""
        width, height = (int(side) for side in self.read(outputs[0]).sides[0])
        sizes = [(-(-height // stride), -(-width // stride)) for stride in self.config.feat_strides]
        return grid(sizes, (height, width), outputs)

    def answering(self, outputs: Tensor, objects: Objects) -> Tensor:
        """One of the queries is matched to each object, wherever it is."""
        return objects.there.any(1, keepdim=True).expand(-1, outputs.shape[1])

    def loss(self, outputs: Tensor, objects: Objects) -> Tensor:
        """The mean over the images of transformers' own `RTDetrLoss`: queries and objects are matched one to one by the
        Hungarian method, layer by layer; varifocal loss of the classes, L1 and GIoU of the boxes. Each image has its
        own divisor, its objects (**our choice**, as in our other detectors; transformers has the batch's). Waits for
        the device."""
        criterion = self.criterion().to(outputs.device)
        images = (outputs[i : i + 1].float() for i in range(len(outputs)))
        terms = [
            self.image_loss(criterion, self.layers(rows), self._target(rows, objects, i))
            for i, rows in enumerate(images)
        ]
        return torch.stack(terms).mean()

    def criterion(self) -> Any:
        """What holds the parts of the loss."""
        from transformers.loss.loss_rt_detr import RTDetrLoss

        return RTDetrLoss(self.config)

    def layers(self, rows: Tensor) -> list[dict[str, Tensor]]:
        """Of one image (1, P, columns) what each layer says, as transformers' losses name it."""
        found, count = self.read(rows), self.config.num_queries
        pairs = zip(found.classes.split(count, 1), found.boxes.split(count, 1), strict=True)  # type: ignore[no-untyped-call]
        return [{"logits": logits, "pred_boxes": boxes} for logits, boxes in pairs]

    def image_loss(self, criterion: Any, layers: list[dict[str, Any]], target: dict[str, Tensor]) -> Tensor:
        """Scalar."""
        terms = criterion(layers[-1] | {"auxiliary_outputs": layers[:-1]}, [target])
        return torch.stack(list(terms.values())).sum()

    def _target(self, rows: Tensor, objects: Objects, i: int) -> dict[str, Tensor]:
        """The objects of image i as transformers' losses name them."""
        there, sides = objects.there[i], self.read(rows).sides[0, 0].detach()
        corners = objects.corners[i][there] / torch.cat([sides, sides])
        boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
        return {"class_labels": objects.classes[i][there], "boxes": boxes}

    def divergence(self, outputs: Tensor, targets: Mapping[str, Tensor], distance: Distance) -> Tensor:
        raise InvalidConfig(
            "Two detectors of object queries have no queries in common.", "Use a recipe that reads features alone.", {}
        )

    def comparable(self, outputs: Tensor) -> tuple[tuple[int, ...], Tensor]:
        return tuple(outputs.shape[1:]), outputs.new_zeros(0)
