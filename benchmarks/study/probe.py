"""Linear-probe accuracy of every teacher layer beside S and Q: python -m benchmarks.study.probe dataset... weights.

A ridge classifier on the flattened feature of 1,000 training images, measured on 1,000 others of the training set (the
test set is not touched), in its dual form, so that a layer costs two Gram matrices. Prints one Markdown row a layer.
"""

from __future__ import annotations

import json
import sys

import torch
from torch import Tensor

from distill.commands.study import parse_dataset
from distill.data.splits import stratified_sample
from distill.layers import capture, discover
from distill.modalities.images import Loader, open_dataset
from distill.models import Preprocessing, load
from distill.quality import knowledge_quality
from distill.recorded import read_view
from distill.safetensors_header import read_header
from distill.types import Architecture

COUNT = 1_000
RIDGE = 1e-2  # of the mean diagonal of the Gram matrix


def main(dataset: tuple[str, ...], weights: str) -> None:
    """Print the table."""
    data = open_dataset(parse_dataset(dataset))
    header = read_header(weights).metadata
    architecture = Architecture(**json.loads(header["architecture"]))
    network = load(architecture, weights, len(data.classes)).eval()
    how = Preprocessing(**read_view(header["preprocessing"]))
    rows = stratified_sample(data.train.labels, 2 * COUNT, 1)
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    batches = [b.student for b in Loader(data.train, rows, 250, how, shuffle=False, drop_last=False).epoch(0)]
    labels = data.train.labels[rows]
    layers = discover(network, batches[0][:2])
    print(f"{architecture.name} {json.dumps(architecture.options)}\n")
    print("| layer | shape | linear probe, % | S | Q |\n|---|---|---|---|---|")
    for layer in layers:
        features = _features(network, layer.name, batches)
        quality = knowledge_quality(features[:COUNT], labels[:COUNT], len(data.train.labels))
        accuracy = probe(features, labels, len(data.classes))
        shape = "x".join(map(str, layer.shape))
        print(
            f"| {layer.index} | {shape} | {100 * accuracy:.1f} | {quality.separation:.3f} | {quality.quality:.3f} |",
            flush=True,
        )


@torch.no_grad()
def _features(network: torch.nn.Module, name: str, batches: list[Tensor]) -> Tensor:
    found = []
    for batch in batches:
        with capture(network, [name], stop=True) as features:
            network(batch)
        found.append(features[name].flatten(1))
    return torch.cat(found)


def probe(features: Tensor, labels: Tensor, classes: int) -> float:
    """Accuracy on the second half of a ridge classifier fitted on the first: (K + a I)^-1 Y, Y in {0, 1} centred."""
    features = features.double() - features[:COUNT].double().mean(0)
    first, second = features[:COUNT], features[COUNT:]
    kernel = first @ first.T
    targets = torch.nn.functional.one_hot(labels[:COUNT], classes).double() - 1 / classes
    ridge = RIDGE * kernel.diagonal().mean() * torch.eye(COUNT, dtype=torch.float64)
    scores = second @ (first.T @ torch.linalg.solve(kernel + ridge, targets))
    return float((scores.argmax(1) == labels[COUNT:]).double().mean())


if __name__ == "__main__":
    main(tuple(sys.argv[1:-1]), sys.argv[-1])
