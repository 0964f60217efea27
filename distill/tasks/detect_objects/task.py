"""Object detection as a run drives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill import offload
from distill.disagreement import Apart, Look
from distill.evaluate import LATENCY_REPEATS
from distill.export import Context
from distill.quality import Marked
from distill.statistics import Difference
from distill.tasks._images.framed import Seeing
from distill.tasks._images.framed_task import FramedTask
from distill.tasks.base import Groups, Report, Split
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.answer import BoxAnswer
from distill.tasks.detect_objects.apart import APART, seen_apart
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.cautions import too_short, unanswered
from distill.tasks.detect_objects.curves import precision_recall
from distill.tasks.detect_objects.delivery import BoxContext, BoxDelivery
from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.evaluate import Found, answering, as_truth, difference, figures, predict
from distill.tasks.detect_objects.examples import IMAGES, Example
from distill.tasks.detect_objects.framing import whole
from distill.tasks.detect_objects.gallery import MOST, Shown, Worst
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.judged import judged, worst_first
from distill.tasks.detect_objects.loader import BoxLoader
from distill.tasks.detect_objects.pairing import output_of, paired, reads_logits
from distill.tasks.detect_objects.peak import peak_of
from distill.tasks.detect_objects.precision import evaluated
from distill.tasks.detect_objects.rois import RoIView, areas_of, cells_of, choose, covering, with_background
from distill.tasks.detect_objects.samples import Samples, open_dataset
from distill.tasks.detect_objects.seeing import placed
from distill.tasks.detect_objects.student import Detector, load_detector
from distill.tasks.network import Network
from distill.training.data import Source, TrainData
from distill.types import RunSpec
from distill.warned import RunWarning

EVALUATION_BATCH = 8
BACKGROUND = "background"
TIMED = 1 + LATENCY_REPEATS
"""Test images that are answered one by one, to see how long that takes."""


class DetectObjects(FramedTask):
    """A class and a box for each object. Training and validation compare at the student's input size, the test in
    pixels of each image."""

    spec, loads = SPEC, BoxLoader
    delivery = BoxDelivery(SPEC.name, SPEC.primary.name)

    def __init__(self, run: RunSpec, scratch: Path) -> None:
        self._about: Report = {}
        self._found: dict[str, Found] = {}
        super().__init__(run, scratch)

    def open(self, scratch: Path) -> None:
        self.dataset = open_dataset(self.run.dataset, scratch=scratch)
        self.classes, self.outputs = self.dataset.classes, len(self.dataset.classes)
        self.answer = BoxAnswer()

    def make_student(self) -> tuple[Network, dict[str, str]]:
        """Raises `InvalidConfig` too where logits are compared and the teacher's cannot be paired."""
        network, reasons = super().make_student()
        head = head_of(network.module)
        if self.teacher is not None and reads_logits(self.config):
            head = paired(self.config, network, self.teacher)
        self.answer = BoxAnswer(head)
        return network, reasons

    def answer_of(self, network: Network) -> BoxAnswer:
        """By the kind of the detector."""
        return BoxAnswer(head_of(network.module))

    def train_data(self) -> TrainData:
        return replace(super().train_data(), peak=peak_of(self.student.architecture))

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        return self.in_order(split, indices, EVALUATION_BATCH, Seeing(network.preprocessing))

    def cautions(self) -> list[RunWarning]:
        """Raises `InvalidConfig` where the student can learn no object."""
        size, train = self.student.preprocessing.size, self.splits.train
        sizes = self.dataset.train.split.sizes
        boxes = [self.dataset.train.boxes(position) for position in train.tolist()]
        shown = [
            whole(_size(sizes[position])).to_input(b.corners[~b.ignored], size)
            for position, b in zip(train.tolist(), boxes, strict=True)
        ]
        corners = np.concatenate([np.zeros((0, 4), np.float32), *shown])
        short = too_short(self.config, len(train)) if self.run.start is None else ()
        left_out = unanswered(head_of(self.student.module), output_of(self.student), corners, size)
        return [*super().cautions(), *left_out, *short]

    # -- scoring ------------------------------------------------------------------------------------------------------

    def groups(self, network: Network) -> Groups | str:
        """One row an object: see `distill.tasks.detect_objects.rois`."""
        size, train, data = network.preprocessing.size, self.splits.train, self.dataset.train
        boxes = [data.boxes(position) for position in train.tolist()]
        native = data.split.sizes[train.numpy()]
        levels = head_of(network.module).levels(output_of(network))
        config = self.config
        shown = [whole(_size(n)).to_input(b.corners, size) for b, n in zip(boxes, native, strict=True)]
        cells = cells_of([(layer.name, layer.shape) for layer in self.layers(network)], levels, size)
        found = choose(boxes, shown, min(cells.values()), config.quality_samples, config.seed)
        if len(np.unique(found.labels)) < 2:
            return "fewer than two classes have an object as large as a cell of a layer of the teacher's"
        objects = set(found.labels.tolist())
        if config.quality_background:
            found = with_background(found, boxes, shown, size, config.seed)
        classes, labels = np.unique(found.labels, return_inverse=True)
        sample = train[torch.from_numpy(found.images)]
        corners = _padded(found.corners, 0.0)
        kept = _padded([np.ones(len(one), np.bool_) for one in found.corners], False)
        mine = covering(areas_of(np.concatenate(found.corners)), labels, cells)
        self._about = {
            "boxes": len(labels), "boxes_left_out": found.left_out, "boxes_below_a_cell": mine.left_out,
            "layers_on_all_boxes": mine.on_all,
        }  # fmt: skip
        source = self.plain_loader("train", sample, network)
        row = {position: i for i, position in enumerate(sample.tolist())}

        def batches() -> Iterator[Marked]:
            for batch in source.epoch(0):
                rows = [row[position] for position in batch.host_index.tolist()]
                marks = {"corners": corners[rows], "kept": kept[rows]}
                yield Marked(batch.student, {name: value.to(self.device) for name, value in marks.items()})

        view = RoIView(size, levels, config.quality_roi_size)
        key = f"{config.quality_roi_size} {config.quality_background} boxes by layer"
        return Groups(
            sample, torch.from_numpy(labels), len(classes), batches, view, key=key, counted=mine.counted,
            names=tuple(self.classes[number] if number in objects else BACKGROUND for number in classes.tolist()),
            rows=torch.from_numpy(np.repeat(np.arange(len(found.corners)), [len(one) for one in found.corners])),
        )  # fmt: skip

    def about_data(self) -> Report:
        return self._about

    # -- evaluation ---------------------------------------------------------------------------------------------------

    @cached_property
    def _truth(self) -> list[Boxes]:
        return [self.dataset.test.boxes(position) for position in self.splits.test.tolist()]

    def predict(self, network: Network) -> Found:
        sizes = self.dataset.test.split.sizes

        def place(position: int, found: Detections) -> Detections:
            return placed(found, network.preprocessing.size, _size(sizes[position]))

        answer = self.answer_of(network)
        said, loss, took = predict(network.module, self.test_source(network), answer, self.device, place)
        single = self.in_order("test", self.splits.test[:TIMED], 1, Seeing(network.preprocessing))
        alone = answering(network.module, single, answer, self.device)
        found = Found(said, evaluated(self._truth, said, len(self.classes)), loss, took, alone)
        self._found |= {name: found for name, one in self._networks.items() if one is network}
        return found

    def figures(self, network: Network, found: Found, teacher: Any | None) -> Report:
        return figures(found, self.classes, teacher)

    def difference(self, first: Found, second: Found) -> Difference:
        return difference(first, second)

    def apart(self, student: Found, teacher: Found) -> Apart:
        """1 - F1 of the student's sure boxes against the teacher's (`judged`), in [0, 1]."""
        pairs = zip(teacher.said, student.said, strict=True)
        scores = torch.tensor([1 - judged(as_truth(theirs), ours).f1 for theirs, ours in pairs], dtype=torch.double)

        def look(places: Sequence[int]) -> list[Look]:
            return [self._seen({"student": student, "teacher": teacher}, place) for place in places]

        return Apart(scores, "one_minus_f1", APART, self.splits.test, look)

    def _seen(self, networks: Mapping[str, Found], place: int) -> Look:
        said = {"label": as_said(self._truth[place])} | {name: each.said[place] for name, each in networks.items()}
        return seen_apart(self.sight(int(self.splits.test[place])), said, self.classes)

    def sight(self, position: int) -> Look:
        test: Samples = self.dataset.test
        return Look({"name": test.name(position)}, test.image(position))

    @property
    def _networks(self) -> dict[str, Network]:
        """Whose boxes are shown, by name."""
        both = {"teacher": self.teacher, "student": self.student}
        return {name: one for name, one in both.items() if one is not None}

    def context(self, network: Network, report: Report) -> Context:
        return super().context(network, report).widened(
            BoxContext, shown=self._shown, said=self._predictions, by_recall=self._by_recall, worst=self._worst
        )  # fmt: skip

    def _shown(self) -> list[Example]:
        """Test images with their objects, what a teacher of the same classes says, and what the student does."""
        pairs, detectors = self.shown(IMAGES)
        return [
            Example(image, {"truth": as_said(truth)} | {name: d.detect(image) for name, d in detectors.items()})
            for image, truth in pairs
        ]

    def answering(self, network: Network) -> Detector:
        return Detector(
            offload.take_back(network.module).eval(), network.architecture, self.classes, network.preprocessing
        )

    def _predictions(self) -> dict[str, Any] | None:
        """What the student says of the test images, as a COCO file with scores, which `pycocotools.coco.COCO` reads."""
        if "student" not in self._found:
            return None
        test: Samples = self.dataset.test
        images, annotations, said_of = [], list[dict[str, Any]](), self._found["student"].said
        for number, (position, said) in enumerate(zip(self.splits.test.tolist(), said_of, strict=True), start=1):
            height, width = (int(side) for side in test.split.sizes[position])
            images.append({"id": number, "file_name": test.name(position), "height": height, "width": width})
            annotations += said.to_coco(number)
        for number, each in enumerate(annotations, start=1):
            each |= {"id": number, "area": each["bbox"][2] * each["bbox"][3], "iscrowd": 0}
        categories = [{"id": number, "name": name} for number, name in enumerate(self.classes, start=1)]
        return {"images": images, "categories": categories, "annotations": annotations}

    def _by_recall(self) -> dict[str, Any] | None:
        """Precision by recall of teacher and student."""
        if "student" not in self._found:
            return None
        return precision_recall({name: each.precision for name, each in self._found.items()}, self.classes)

    def _worst(self) -> Worst | None:
        """The test images that the student does worst on, with what teacher and student say of them."""
        if "student" not in self._found:
            return None
        test, positions = self.dataset.test, self.splits.test.tolist()
        judgements = [judged(*pair) for pair in zip(self._truth, self._found["student"].said, strict=True)]
        order = worst_first(judgements)[:MOST]
        shown = [
            Shown(
                test.name(positions[i]), _size(test.split.sizes[positions[i]]), self._truth[i],
                {name: each.said[i] for name, each in self._found.items()}, judgements[i],
            )
            for i in order
        ]  # fmt: skip
        return Worst(shown, lambda: (test.image(positions[i]) for i in order), len(positions))

    @staticmethod
    def load_student(path: Path) -> Any:
        return load_detector(path)


def as_said(boxes: Boxes) -> Detections:
    """Objects as if a network were sure of them; ignored ones are left out."""
    known = ~boxes.ignored
    corners, classes = (torch.from_numpy(np.array(each[known])) for each in (boxes.corners, boxes.classes))
    return Detections(corners, torch.ones(len(classes)), classes)


def _size(native: NDArray[np.int64]) -> tuple[int, int]:
    return int(native[0]), int(native[1])


def _padded(rows: Sequence[NDArray[Any]], filling: Any) -> Tensor:
    """Arrays (m_i, ...) -> (n, m, ...), m the most."""
    most = max(map(len, rows))
    wide = np.full((len(rows), most, *rows[0].shape[1:]), filling, rows[0].dtype)
    for i, one in enumerate(rows):
        wide[i, : len(one)] = one
    return torch.from_numpy(wide)


ENTRY = DetectObjects
