"""What a feature is worth on labelled data: how well a linear classifier of it does, and its nearest neighbours."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.head_samples import LEAST_A_CLASS
from distill.layers import FeatureView, run_until
from distill.layers.modes import evaluating
from distill.recipe_parts.layout import Layout
from distill.statistics import wilson
from distill.tasks.base import Report
from distill.tasks.nearest import nearest_classes
from distill.tasks.network import Network
from distill.tasks.probe_set import ProbeSet
from distill.training.data import Source
from distill.training.head import Rows, fit_linear, most_samples
from distill.types import Layer


def linear_probe(given: ProbeSet, network: Network, layer: Layer) -> Report:
    """`linear_probe`: the share of test samples that a linear classifier of the feature at `layer` has right, with its
    Wilson interval; `probe`: how it was fitted, or why there is none.

    The feature is averaged over its positions (h and w of a map, the tokens as the task's view reads them), one row a
    sample. The classifier begins with zeros and is fitted as `distill.training.head` fits a student's last layer: by
    L-BFGS on unaugmented training samples, the penalty by the loss on validation samples. **Our choice**: at most as
    many training samples as that fit takes at least."""
    splits, classes = given.splits, given.classes
    held = _rows(given, network, layer, splits.validation)
    head = nn.Linear(held.features.shape[1], classes, device=held.features.device)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    count = most_samples(len(splits.train), 0, head)
    about: Report = {"layer": layer.name, "features": head.in_features, "samples": count}
    if count < LEAST_A_CLASS * classes:
        return {"probe": about | {"reason": f"{count:,} training samples are too few for {classes:,} classes"}}
    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(given.seed))
    found = fit_linear(head, _rows(given, network, layer, splits.train[order[:count].sort().values]), held)
    if found is None or not found.fitted:
        return {"probe": about | {"reason": found.reason if found else "it was interrupted"}}
    about |= {"penalty": found.penalty, "validation_accuracy": found.accuracy_after, "reason": found.reason}
    return {"linear_probe": _tested(head, rows_at(network, layer, given.tested(network), given.view)), "probe": about}


def neighbours(given: ProbeSet, network: Network, layer: Layer) -> Report:
    """`knn`: the share of test samples whose class the nearest training and validation samples say rightly
    (`distill.tasks.nearest`), by the averaged feature at `layer`, with its Wilson interval."""
    splits = given.splits
    known = _rows(given, network, layer, torch.cat([splits.train, splits.validation]))
    asked = rows_at(network, layer, given.tested(network), given.view)
    right = nearest_classes(known, asked.features, given.classes) == asked.labels
    return {"knn": wilson(int(right.sum()), len(right)).to_dict()}


def _rows(given: ProbeSet, network: Network, layer: Layer, positions: Tensor) -> Rows:
    return rows_at(network, layer, given.training(network, positions), given.view)


@torch.no_grad()
def rows_at(network: Network, layer: Layer, source: Source, view: FeatureView) -> Rows:
    """The averaged features of a source's samples, (n, channels) in fp32, with their labels."""
    features, labels, view = [], [], view.per_sample()
    with evaluating(network.module):
        for batch in source.epoch(0):
            feature = run_until(network.module, [layer.name], batch.student)[layer.name]
            features.append(averaged(view.rows(feature, batch.student)))
            labels.append(batch.labels)
    return Rows(torch.cat(features), torch.cat(labels))


def averaged(feature: Tensor) -> Tensor:
    """(n, *shape) of any layout -> (n, channels), float32."""
    return Layout(tuple(feature.shape[1:])).as_tokens(feature).float().mean(1)


@torch.no_grad()
def _tested(head: nn.Linear, rows: Rows) -> dict[str, Any]:
    right = F.linear(rows.features, head.weight, head.bias).argmax(1) == rows.labels
    return wilson(int(right.sum()), len(right)).to_dict()
