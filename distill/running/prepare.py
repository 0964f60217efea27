"""Opens what a run needs and checks that it fits together, before any long work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from distill import recipes, selection
from distill.data.splits import stratified_sample, stratified_split
from distill.device import resolve_device
from distill.errors import InvalidConfig, InvalidTeacher
from distill.evaluate import Predictions
from distill.layers import SequenceView, discover
from distill.layers._forward import to_device
from distill.layers._modes import evaluating
from distill.modalities.images import Dataset, Loader, Samples, open_dataset
from distill.modalities.text.dataset import TextDataset
from distill.modalities.text.preprocessing import TextPreprocessing
from distill.modalities.text.recognise import recognised
from distill.models import CheckpointReport, Preprocessing, build, check, load, pin, preprocessing
from distill.models.sizes import FORWARD_ERRORS, unfit_size
from distill.parameters import check as check_parameters
from distill.recipes._base import Recipe
from distill.recipes._networks import run_logits
from distill.recorded import read_view, recorded_classes, recorded_recipe, recorded_view
from distill.training import distributed
from distill.training.data import Order, Source, TrainData
from distill.training.rng import seed_everything
from distill.types import Architecture, DistillConfig, Layer, RunSpec

EVALUATION_BATCH = 256
Split = Literal["train", "test"]


@dataclass(frozen=True)
class Network:
    """A network with how it sees its inputs. `recipe` says how it was trained, `digest` is its file's sha256 if it has
    one, `bytes` that file's size."""

    module: nn.Module
    architecture: Architecture
    preprocessing: Preprocessing | TextPreprocessing
    recipe: str = ""
    digest: str = ""
    bytes: int | None = None
    tokens: Any = None  # a language model's tokenizer

    def example(self, count: int, device: torch.device) -> Any:
        """A batch of made-up inputs, which draw nothing from torch's global generator."""
        return to_device(self.preprocessing.example(count), device)

    def one(self, device: torch.device) -> Any:
        """A single input of the size that costs are told for."""
        return to_device(self.preprocessing.one(), device)


@dataclass
class Prepared:
    """Everything opened: networks on the device, positions of the training, validation and test samples."""

    spec: RunSpec
    device: torch.device
    dataset: Dataset | TextDataset
    recipe: type[Recipe]
    student: Network
    teacher: Network | None
    comparison: Network | None
    train: Tensor
    validation: Tensor
    test: Tensor
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> DistillConfig:
        return self.spec.config

    @property
    def native(self) -> tuple[int, int] | None:
        """(height, width) of the test images where they are evaluated as whole tensors; None where one by one."""
        if not isinstance(self.dataset, Dataset) or self.dataset.test.cached(torch.device("cpu")) is None:
            return None
        shape = self.dataset.test.uniform_shape
        return shape and shape[1:]

    @property
    def view(self) -> SequenceView | None:
        """What of a padded sequence's features the losses compare; None for other inputs."""
        return None

    @property
    def quality_view(self) -> SequenceView | None:
        """The same for the Q curve, which needs one row a sample."""
        return None

    @property
    def unscored(self) -> str:
        """Why no Q curve can be computed; empty where it can."""
        return ""

    def layers(self, network: Network, named: list[str] | None = None) -> list[Layer]:
        """The network's layers by discovery, or just the named ones, with the shapes that losses see."""
        return discover(network.module, network.example(2, self.device), named)

    def train_data(self) -> TrainData:
        """The training loop's data."""
        labels = self.dataset.train.labels
        return TrainData(
            open_train=lambda order: self._loader(self.train, order),
            open_validation=lambda order: self._loader(self.validation, order),
            indices=self.train.tolist(),
            validation_labels=labels[self.validation].tolist(),
            num_classes=len(self.dataset.classes),
        )

    def _loader(self, indices: Tensor, order: Order) -> Source:
        student, data = self.student.preprocessing, self.dataset
        teacher = self.teacher.preprocessing if self.teacher and order.teacher else None
        assert isinstance(student, Preprocessing)
        assert isinstance(data, Dataset)
        assert not isinstance(teacher, TextPreprocessing)
        return Loader(
            data.train, indices, share_of(order), student, teacher,
            augmentation=self.config.augmentation if order.augment else "none", seed=self.config.seed,
            shuffle=order.shuffle, drop_last=order.drop_last, device=order.device,
            workers=_workers(data.train), rank=order.rank, world=order.world,
        )  # fmt: skip

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        """Samples of a split in order, as the network sees them, without augmentation."""
        samples, how = getattr(self.dataset, split), network.preprocessing
        assert isinstance(how, Preprocessing)
        return Loader(
            samples, indices, EVALUATION_BATCH, how, shuffle=False, drop_last=False,
            device=self.device, workers=_workers(samples),
        )  # fmt: skip

    def about_data(self) -> dict[str, Any]:
        """More of the report's `dataset`, once training has begun."""
        return {}

    def warnings(self) -> list[str]:
        """What the log should say of the data, once the training data is there."""
        return []

    def further_metrics(self, loss: float) -> dict[str, float]:
        """More of a validation's metrics, by its loss."""
        return {}

    def assess_further(self, network: Network, found: Predictions) -> dict[str, Any]:
        """More columns of the report, measured on the test set."""
        return {}

    def scoring_loader(self, indices: Tensor, network: Network) -> Source:
        """What the Q curve is computed on: training samples in order."""
        return self.plain_loader("train", indices, network)


def share_of(order: Order) -> int:
    if order.batch_size % order.world:
        raise InvalidConfig(
            f"A batch of {order.batch_size} cannot be shared equally by {order.world} processes.",
            f"Choose a batch_size that is a multiple of {order.world}.",
        )
    return order.batch_size // order.world


def _workers(samples: Samples) -> int:
    """Small images are prepared as whole tensors; larger ones are decoded in one process less than there are cores."""
    if samples.cached(torch.device("cpu")) is not None:
        return 0
    return max(0, min(8, torch.get_num_threads() - 1))


def prepare(spec: RunSpec, scratch: Path) -> Prepared:
    """Open and check. Raises UnknownName, InvalidConfig, InvalidDataset, InvalidTeacher."""
    spec = spec.model_copy(update={"dataset": recognised(spec.dataset)})
    if spec.dataset.kind == "text":
        from distill.running.text import prepare_text  # transformers is an optional part

        return prepare_text(spec, scratch)
    recipe = recipe_of(spec)
    device, why = device_of(spec.config)
    dataset = open_dataset(spec.dataset, scratch=scratch)
    teacher = _teacher(spec, dataset)
    comparison = _comparison(spec, dataset)
    train, validation, test = splits_of(spec.config, dataset)
    student, reason = _student(spec, dataset)
    for network in (student, teacher, comparison):
        if network is not None:
            network.module.to(device)
    reasons = {"device": why, "image_size": reason}
    return Prepared(spec, device, dataset, recipe, student, teacher, comparison, train, validation, test, reasons)


def recipe_of(spec: RunSpec) -> type[Recipe]:
    config = spec.config
    recipes.registry.check(config.recipe)
    selection.registry.check(config.selection)
    check_parameters(selection.registry.parameters(config.selection), config.selection_parameters)
    check_parameters(recipes.registry.parameters(config.recipe), config.recipe_parameters)
    recipe: type[Recipe] = recipes.get(config.recipe)
    if recipe.needs_teacher and spec.teacher is None:
        raise InvalidConfig(
            f"The recipe {config.recipe} needs a teacher.", "Name a teacher, or use the recipe cross_entropy."
        )
    for name in ("teacher_layers", "student_layers"):
        layers = getattr(config, name)
        if recipe.needs_layers and layers is not None and len(layers) != config.layers:
            raise InvalidConfig(
                f"{name} names {len(layers)} layers, but layers (k) is {config.layers}.",
                "Make them agree.",
                {"field": name, "named": len(layers), "layers": config.layers},
            )
    return recipe


def device_of(config: DistillConfig) -> tuple[torch.device, str]:
    if config.device == "auto" and distributed.world() > 1 and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device()), "one GPU a process"
    return resolve_device(config.device)


def splits_of(config: DistillConfig, dataset: Dataset | TextDataset) -> tuple[Tensor, Tensor, Tensor]:
    """Validation is held out of the training samples; limits take the same number of every class."""
    labels = dataset.train.labels
    kept = _limited(labels, config.train_limit, config.seed)
    train, validation = stratified_split(labels[kept], config.validation_fraction, config.seed)
    # The test samples of a limited test must be the same for every seed, or seeds could not be compared.
    test = _limited(dataset.test.labels, config.test_limit, 0)
    if len(train) < 2 or len(validation) < 1:
        raise InvalidConfig(
            f"{len(kept)} training samples leave {len(train)} to train on and {len(validation)} to validate.",
            "Use more samples, or another validation_fraction.",
        )
    return kept[train], kept[validation], test


def _limited(labels: Tensor, limit: int | None, seed: int) -> Tensor:
    if limit is None or limit >= len(labels):
        return torch.arange(len(labels))
    return stratified_sample(labels, limit, seed)


def _student(spec: RunSpec, dataset: Dataset) -> tuple[Network, str]:
    """The student with fresh weights from the seed, whatever was drawn before."""
    config = spec.config
    how = preprocessing(spec.student, config.image_size, dataset.native_size, dataset.channels)
    reason = "given" if config.image_size != "auto" else f"{how.size[0]} x {how.size[1]}: the student's own input size"
    if config.image_size == "auto" and how.size == dataset.native_size:
        reason = f"{how.size[0]} x {how.size[1]}: the dataset's images as they are"
    architecture = pin(spec.student, how.size)
    seed_everything(config.seed)
    module = build(spec.student, len(dataset.classes), how.channels, how.size)
    network = Network(module, architecture, how, config.recipe)
    _check_runs(network)
    return network, reason


@torch.no_grad()
def _check_runs(network: Network) -> None:
    """Raises `InvalidConfig` for a network that its own size of images is too small for, or that wants another."""
    size = network.preprocessing.size  # type: ignore[union-attr]
    try:
        with evaluating(network.module):
            run_logits(network.module, network.one(torch.device("cpu")))
    except FORWARD_ERRORS as error:
        if "memory" in str(error):  # `distill.run.memory_errors` knows what to say
            raise
        raise unfit_size(network.architecture, size, error) from error


def _teacher(spec: RunSpec, dataset: Dataset) -> Network | None:
    if spec.teacher is None:
        return None
    given = spec.teacher
    if given.num_classes != len(dataset.classes):
        raise InvalidConfig(
            f"The teacher knows {given.num_classes} classes, the dataset has {len(dataset.classes)}.",
            "Use a teacher of this dataset's classes, or the dataset of this teacher.",
            {"teacher_classes": given.num_classes, "dataset_classes": len(dataset.classes)},
        )
    return _loaded("Teacher", given.architecture, given.weights, dataset, digest=given.digest)


def _comparison(spec: RunSpec, dataset: Dataset) -> Network | None:
    given = spec.comparison
    if given is None:
        return None
    try:
        return _loaded("Comparison", given.architecture, given.weights, dataset, recipe=given.recipe)
    except InvalidTeacher as error:
        raise InvalidConfig(f"The comparison cannot be loaded: {error.message}", error.remedy, error.details) from error


def check_order(who: str, theirs: Sequence[str], ours: Sequence[str]) -> None:
    """Raises `InvalidConfig` where two networks would mean different classes by one logit."""
    if list(theirs) != list(ours) and set(theirs) == set(ours):
        raise InvalidConfig(
            f"{who} and dataset have the same classes in another order.",
            f"Use a {who.lower()} that was trained on this dataset here, or name the classes so that they sort as its "
            "own.",
            {who.lower(): list(theirs)[:20], "dataset": list(ours)[:20]},
        )


def _loaded(
    who: str, architecture: Architecture, weights: str, dataset: Dataset, recipe: str = "", digest: str = ""
) -> Network:
    report = check(architecture, weights, len(dataset.classes))
    check_order(who, recorded_classes(report.metadata), dataset.classes)
    how = _recorded(report) or preprocessing(
        report.architecture, native_size=dataset.native_size, channels=report.in_channels
    )
    module = load(report.architecture, weights, report.num_classes)
    recipe = recipe or recorded_recipe(report.metadata)
    return Network(module, report.architecture, how, recipe, digest, Path(weights).stat().st_size)


def _recorded(report: CheckpointReport) -> Preprocessing | None:
    """The preprocessing in the header of a student of ours: how it was trained is how it must see."""
    how = recorded_view(report.metadata, report.in_channels)
    return None if how is None else Preprocessing(**how)


def read_preprocessing(text: str) -> Preprocessing:
    """Raises InvalidTeacher for a header that does not hold one."""
    return Preprocessing(**read_view(text))


Norms = Callable[[Any], dict[str, Any]]
