"""What a run on pictures needs: a dataset of pictures, networks by library and name, loaders."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill import offload
from distill.disagreement import Look
from distill.errors import InvalidConfig, InvalidTeacher
from distill.layers.forward import forward
from distill.layers.modes import evaluating
from distill.models import (
    CheckpointReport,
    Preprocessing,
    build,
    check,
    classifier,
    load,
    pin,
    preprocessing,
    settled,
    start_from,
)
from distill.models.drop_path import built, rate_of
from distill.models.sizes import FORWARD_ERRORS, unfit_size
from distill.pruned import is_pruned
from distill.recorded import recorded_classes, recorded_recipe
from distill.tasks import learnt_elsewhere
from distill.tasks.base import Split, Task
from distill.tasks.image_view import NOTHING, recorded, teacher_view
from distill.tasks.network import Network
from distill.tasks.opened_teacher import OpenedTeacher, told_preprocessing
from distill.tasks.opening import (
    check_classes,
    check_networks,
    check_order,
    check_start,
    device_of,
    recipe_of,
    splits_of,
    told_classes,
)
from distill.tasks.teacher_set import joined, weights_of
from distill.teacher_classes import Known, match_classes, match_set
from distill.told import assumed, told_view
from distill.training.data import Order, Source, TrainData
from distill.training.rng import seed_everything
from distill.types import Architecture, RunSpec, StartInput, TeacherInput, TeacherPreprocessing
from distill.warned import RunWarning, named


class ImageTask(Task):
    """Pictures in; a subclass says what is answered.

    `data` opens the dataset, of which this class reads `native_size`, `channels`, `digest`, `name` and `notes`, and,
    where there is one, `validation`: positions of the training samples that its files hold out. `outputs` is how many
    the networks have.
    """

    outputs: int
    _assumed: tuple[RunWarning, ...] = ()

    def __init__(self, run: RunSpec, scratch: Path) -> None:
        check_networks(self.spec, run)
        check_start(self.spec, run)
        self.run, self.recipe = run, recipe_of(run)
        self.device, why = device_of(run.config)
        self.reasons = {"device": why}
        self.open(scratch)
        self.teacher = self._teacher()
        self.comparison = self._comparison()
        strata = self.strata("train"), self.strata("test")
        self.splits = splits_of(
            run.config, *strata, labelled=self.recipe.needs_labels,
            validation=self.validation(),
        )  # fmt: skip
        self.reasons |= self.weigh()
        for network in (self.teacher, self.comparison):
            if network is not None:
                offload.put(network.module, self.device)

    @abstractmethod
    def open(self, scratch: Path) -> None:
        """Open `run.dataset`: sets `dataset`, `classes`, `outputs` and `answer`."""

    def validation(self) -> Tensor | None:
        """Positions of the training samples that the dataset itself says validate; None: it does not."""
        found: Tensor | None = getattr(self.dataset, "validation", None)
        return found

    @abstractmethod
    def strata(self, split: Split) -> Tensor:
        """(n,) int64: the stratum of each sample of a split, of which validation and limits take equal shares."""

    @abstractmethod
    def loader(self, indices: Tensor, order: Order) -> Source:
        """Training samples at `indices`, as student and teacher see them."""

    def train_data(self) -> TrainData:
        train, validation = self.splits.train, self.splits.validation
        return TrainData(
            open_train=lambda order: self.loader(train, order),
            open_validation=lambda order: self.loader(validation, order),
            indices=train.tolist(),
            taken=frozenset(self.start.taken) if self.start else frozenset(),
        )

    def warnings(self) -> list[str]:
        """Networks that were trained here know how they saw 16-bit grey."""
        own = self.run.dataset.pixel_range
        networks = [(_the(network.label), network) for network, _ in self.teachers]
        if self.comparison is not None:
            networks.append(("the comparison", self.comparison))
        return [
            f"{name[:1].upper()}{name[1:]} was trained on images whose pixel_range was "
            f"{_words(network.preprocessing.pixel_range)}; this dataset's is {_words(own)}. If both hold 16-bit "
            f"images, {name} sees other brightnesses than it knows."
            for name, network in networks
            if network.recipe and network.preprocessing.pixel_range != own
        ]

    @property
    def native(self) -> tuple[int, int] | None:
        """(height, width) of the test images where they are evaluated as whole tensors; None where one by one."""
        if self.dataset.test.cached(torch.device("cpu")) is None:
            return None
        shape: tuple[int, int, int] | None = self.dataset.test.uniform_shape
        return shape and shape[1:]

    def called(self, position: int) -> str:
        name: str = self.dataset.train.name(position)
        return name

    def sight(self, position: int) -> Look:
        return Look({}, self.dataset.test.image(position))

    # -- networks -----------------------------------------------------------------------------------------------------

    def build(self, architecture: Architecture, how: Preprocessing) -> torch.nn.Module:
        """The network with fresh weights."""
        return build(architecture, self.outputs, how.channels, how.size)

    def make_student(self) -> tuple[Network, dict[str, str]]:
        config, given, data = self.config, self.run.student, self.dataset
        source = self._source()
        native, whose = self.size_of_student()
        how = preprocessing(given, config.image_size, native, data.channels)
        if source is not None:
            how = self._as_source(how, source)
        how = replace(how, pixel_range=self.run.dataset.pixel_range)
        reason = "given" if config.image_size != "auto" else f"{how.size[0]} x {how.size[1]}: the student's input size"
        if config.image_size == "auto" and how.size == native:
            reason = f"{how.size[0]} x {how.size[1]}: {whose}"
        architecture = settled(pin(given, how.size), how.channels, how.size)
        seed_everything(config.seed)
        network = Network(self._made(architecture, how), architecture, how, config.recipe)
        self._check_runs(network)
        why_depth = "given" if config.drop_path != "auto" else "as the architecture has it"
        return network, {"image_size": reason, "drop_path": why_depth} | self._started(network, source)

    def size_of_student(self) -> tuple[tuple[int, int] | None, str]:
        """(height, width) that the student sees where nothing says so and its network takes any size, and why; None:
        the network's own."""
        return self.dataset.native_size, "the dataset's images as they are"

    def _made(self, given: Architecture, how: Preprocessing) -> torch.nn.Module:
        rate = self.config.drop_path
        return self.build(given, how) if rate == "auto" else built(given, rate, lambda other: self.build(other, how))

    def decided(self) -> dict[str, Any]:
        return {"drop_path": rate_of(self.student.module)}

    def _source(self) -> CheckpointReport | None:
        """What the weights that the student starts from are. Raises `InvalidConfig`."""
        given = self.run.start
        if given is None:
            return None
        try:
            return check(given.architecture, given.weights)
        except InvalidTeacher as error:
            message = f"The student cannot start from {given.label}: {error.message}"
            raise InvalidConfig(message, error.remedy, error.details) from error

    def _as_source(self, how: Preprocessing, source: CheckpointReport) -> Preprocessing:
        """The student's view of pictures, as its weights are used to them; of another size where the run says so."""
        assert self.run.start is not None
        own = self._seeing(source, self.run.start.preprocessing, self.run.student)
        return own if self.config.image_size == "auto" else replace(own, size=how.size)

    def _started(self, network: Network, source: CheckpointReport | None) -> dict[str, str]:
        """Give the student the weights that it starts from; what that was, by field."""
        given = self.run.start
        if given is None or source is None:
            return {}
        names = recorded_classes(source.metadata)
        learnt = learnt_elsewhere(source.metadata, self.spec.name)
        match = match_classes(source.num_classes, names, self.outputs, self.classes, learnt=learnt)
        heads = set() if match.same else classifier(network.architecture, network.preprocessing.channels)
        module = load(source.architecture, given.weights, source.num_classes or None)
        label = given.label
        if given.map is None and is_pruned(network.architecture) and not is_pruned(source.architecture):
            module = self._cut(network, module, given)
            label = f"{label}, pruned by {given.importance}"
        self.start = start_from(network.module, module, label, heads, given.map)
        return {"weights": self.start.told()}

    @staticmethod
    def _cut(network: Network, source: torch.nn.Module, given: StartInput) -> torch.nn.Module:
        """The source with the channels that the student has. Raises `InvalidConfig` for another network."""
        if type(source) is not type(network.module):
            return source  # which `start_from` refuses by name
        from distill.models.pruning import cut  # torch-pruning, which other runs do without

        return cut(source, network.architecture, given.importance, network.one(torch.device("cpu")))

    @torch.no_grad()
    def _check_runs(self, network: Network) -> None:
        """Raises `InvalidConfig` for a network that its own size of images is too small for, or that wants another."""
        size = network.preprocessing.size
        try:
            with evaluating(network.module):
                forward(network.module, network.one(torch.device("cpu")))
        except FORWARD_ERRORS as error:
            if "memory" in str(error):  # `distill.run.memory_errors` knows what to say
                raise
            raise unfit_size(network.architecture, size, error) from error

    def _teacher(self) -> Network | None:
        """The teacher, or the set of them as one. Raises `InvalidTeacher`, and `InvalidConfig` for classes that the
        recipe cannot use."""
        given = self.run.teachers
        if not given:
            return None
        opened = [self._opened(each) for each in given]
        known = [each.known for each in opened]
        match, each_match = match_set(known, self.outputs, self.classes, self.config.teacher_classes)
        self.teacher_classes = check_classes(self.spec, self.config, match)
        self.member_classes = each_match
        self.reasons |= told_classes(self.spec, match)
        self._assumed = tuple(each.assumed for each in opened if each.assumed is not None)
        told = [each.told if len(given) == 1 else f"{each.known.label}: {each.told}" for each in opened]
        self.reasons["teacher_preprocessing"] = "; ".join(told)
        weights = weights_of(self.config.teacher_weights, len(given))
        return joined([each.network for each in opened], weights)

    def _opened(self, given: TeacherInput) -> OpenedTeacher:
        try:
            report = check(given.architecture, given.weights, given.num_classes or None)
        except InvalidTeacher as error:
            if len(self.run.teachers) == 1:
                raise
            message = f"{given.label}: {error.message}"
            raise InvalidTeacher(message, error.remedy, error.details) from error
        view = teacher_view(report, given.preprocessing)
        how = self._seeing(report, given.preprocessing)
        found = replace(self._network(report, given.weights, how), digest=given.digest, label=given.label)
        if given.preprocessing is not None:
            self._check_runs(found)
        warned = assumed(view, self.dataset.native_size)
        if warned is not None and len(self.run.teachers) > 1:
            warned = named(warned, given.label)
        learnt = learnt_elsewhere(report.metadata, self.spec.name)
        known = Known(given.label, report.num_classes, recorded_classes(report.metadata), learnt)
        return OpenedTeacher(found, known, warned, told_preprocessing(given, how, view, warned))

    def cautions(self) -> list[RunWarning]:
        return list(self._assumed)

    def _comparison(self) -> Network | None:
        given = self.run.comparison
        if given is None:
            return None
        try:
            report = check(given.architecture, given.weights, self.outputs or None)
            check_order("Comparison", recorded_classes(report.metadata), self.classes)
            found = self._network(report, given.weights, self._seeing(report))
        except InvalidTeacher as error:
            message = f"The comparison cannot be loaded: {error.message}"
            raise InvalidConfig(message, error.remedy, error.details) from error
        return replace(found, recipe=given.recipe or found.recipe)

    def _seeing(
        self,
        report: CheckpointReport,
        told: TeacherPreprocessing | None = None,
        architecture: Architecture | None = None,
    ) -> Preprocessing:
        """What was told at registration, else the file's header, else the default of the network, or of
        `architecture`."""
        base = recorded(report) or preprocessing(
            architecture or report.architecture, native_size=self.dataset.native_size, channels=report.in_channels
        )
        return replace(base, **told_view(told or NOTHING, report.in_channels))

    def _network(self, report: CheckpointReport, weights: str, how: Preprocessing) -> Network:
        """The network in a file that `check` has reported on."""
        module = load(report.architecture, weights, report.num_classes or None)
        recipe = recorded_recipe(report.metadata)
        return Network(module, report.architecture, how, recipe, bytes=Path(weights).stat().st_size)


def _the(label: str) -> str:
    return label or "the teacher"


def _words(between: tuple[int, int] | None) -> str:
    return "not given" if between is None else f"{list(between)}"


def workers_of(samples: Any) -> int:
    """Small images are prepared as whole tensors; larger ones are decoded in one process less than there are cores."""
    if samples.cached(torch.device("cpu")) is not None:
        return 0
    return max(0, min(8, torch.get_num_threads() - 1))
