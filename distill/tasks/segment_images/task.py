"""Semantic segmentation as a run drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill import offload
from distill.disagreement import Apart, Look
from distill.export import Context
from distill.quality import Marked
from distill.statistics import Difference
from distill.tasks._images.framed import Seeing
from distill.tasks._images.framed_task import FramedTask
from distill.tasks.base import Groups, Report, Split
from distill.tasks.network import Network
from distill.tasks.segment_images import SPEC
from distill.tasks.segment_images.answer import MaskAnswer
from distill.tasks.segment_images.apart import APART, differing, painted, shares, side_by_side
from distill.tasks.segment_images.delivery import MaskContext, MaskDelivery
from distill.tasks.segment_images.evaluate import Masks, difference, figures, predict
from distill.tasks.segment_images.examples import IMAGES, Example
from distill.tasks.segment_images.loader import MaskLoader
from distill.tasks.segment_images.regions import Regions, RegionView, choose, coarsest
from distill.tasks.segment_images.samples import Samples, open_dataset
from distill.tasks.segment_images.sheet import overlaid
from distill.tasks.segment_images.student import Segmenter, load_segmenter
from distill.tasks.weighing import weighed
from distill.training.data import Source

EVALUATION_BATCH = 8
"""Images of one size that are evaluated at once; of different sizes one by one."""


class SegmentImages(FramedTask):
    """One class a pixel. Training and validation compare at the student's input size, the test at each image's own."""

    spec, loads = SPEC, MaskLoader
    delivery = MaskDelivery(SPEC.name, SPEC.primary.name)
    regions: Regions | None = None

    def open(self, scratch: Path) -> None:
        self.dataset = open_dataset(self.run.dataset, scratch=scratch)
        self.classes, self.outputs = self.dataset.classes, len(self.dataset.classes)
        self.answer = MaskAnswer(self.config.label_smoothing)

    def weigh(self) -> dict[str, str]:
        """By the labelled pixels of the training masks, each at its own size."""
        pixels = torch.from_numpy(self.dataset.train.split.pixels)[self.splits.train].sum(0)
        self.answer, why = weighed(self.answer, self.config, self.classes, pixels, self.device)
        return why

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        return self._plain(split, indices, network, own_size=True)

    def _plain(self, split: Split, indices: Tensor, network: Network, own_size: bool) -> Source:
        samples: Samples = getattr(self.dataset, split)
        batch = EVALUATION_BATCH if not own_size or samples.uniform_size else 1
        return self.in_order(split, indices, batch, Seeing(network.preprocessing, own_size=own_size))

    # -- scoring ------------------------------------------------------------------------------------------------------

    def groups(self, network: Network) -> Groups | str:
        """One row a region: see `distill.tasks.segment_images.regions`."""
        size, train = network.preprocessing.size, self.splits.train
        shapes = [layer.shape for layer in self.layers(network)]
        split, config = self.dataset.train.split, self.config
        pixels, unlabelled = split.pixels[train.numpy()], split.unlabelled[train.numpy()]
        found = choose(pixels, unlabelled, coarsest(shapes, size), config.quality_samples, config.seed)
        self.regions = found
        classes, labels = np.unique(found.labels, return_inverse=True)
        if len(classes) < 2:
            return "fewer than two classes have a region as large as a cell of the teacher's coarsest map"
        sample = train[torch.from_numpy(found.images)]
        source, kept = self._plain("train", sample, network, own_size=False), torch.from_numpy(found.kept)
        row = {position: i for i, position in enumerate(sample.tolist())}

        def batches() -> Any:
            for batch in source.epoch(0):
                rows = [row[position] for position in batch.host_index.tolist()]
                yield Marked(batch.student, {"mask": batch.labels, "kept": kept[rows].to(self.device)})

        return Groups(
            sample, torch.from_numpy(labels), len(classes), batches, RegionView(size),
            names=tuple(self.classes[number] for number in classes), rows=torch.from_numpy(np.nonzero(found.kept)[0]),
        )  # fmt: skip

    def about_data(self) -> Report:
        if self.regions is None:
            return {}
        return {"regions": len(self.regions.labels), "regions_left_out": self.regions.left_out}

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def predict(self, network: Network) -> Masks:
        return predict(network.module, self.test_source(network), len(self.classes), self.device)

    def figures(self, network: Network, found: Masks, teacher: Any | None) -> Report:
        return figures(found, self.classes, teacher)

    def difference(self, first: Masks, second: Masks) -> Difference:
        return difference(first, second)

    def apart(self, student: Masks, teacher: Masks) -> Apart:
        """The share of an image's labelled pixels that have different classes, in [0, 1]."""
        scores = differing(student, teacher)

        def look(places: Sequence[int]) -> list[Look]:
            return [self._seen({"student": student, "teacher": teacher}, place) for place in places]

        return Apart(scores, "differing_pixels", APART, self.splits.test, look)

    def _seen(self, networks: Mapping[str, Masks], place: int) -> Look:
        """Each network's most frequent classes, in the order of their share of the labelled pixels."""
        image, truth = self.dataset.test.pair(int(self.splits.test[place]))
        rows = {"label": truth[truth >= 0]} | {name: found.said(place) for name, found in networks.items()}
        told = {name: {"classes": shares(row, self.classes, self.dataset.palette)} for name, row in rows.items()}
        maps = {name: painted(truth, row) for name, row in rows.items()}
        return Look(told, side_by_side(image, [overlaid(image, each, self.dataset.palette) for each in maps.values()]))

    def context(self, network: Network, report: Report) -> Context:
        return super().context(network, report).widened(MaskContext, palette=self.dataset.palette, shown=self._shown)

    def _shown(self) -> list[Example]:
        """Test images with what the student says of them, and a teacher of the same classes."""
        pairs, segmenters = self.shown(IMAGES)
        return [
            Example(image, {"truth": truth} | {name: s.predict(image).classes for name, s in segmenters.items()})
            for image, truth in pairs
        ]

    def answering(self, network: Network) -> Segmenter:
        module = offload.take_back(network.module).eval()
        return Segmenter(module, network.architecture, self.classes, self.dataset.palette, network.preprocessing)

    @staticmethod
    def load_student(path: Path) -> Any:
        return load_segmenter(path)


ENTRY = SegmentImages
