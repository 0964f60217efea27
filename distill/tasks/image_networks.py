"""Networks of timm, torchvision, transformers and Retort that take images: one file of weights each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from distill.anatomy import anatomy
from distill.answers import Answer
from distill.answers.reaching import Reaching
from distill.errors import InvalidTeacher
from distill.models import CheckpointReport, check
from distill.models import catalogue as networks
from distill.models.build import build as built
from distill.models.build import size_option, skeleton
from distill.models.measure import measure_stored
from distill.models.preprocessing import preprocessing
from distill.models.sizes import FORWARD_ERRORS, run_on_meta, unfit_size
from distill.recorded_architecture import recorded_architecture
from distill.safetensors_header import read_header
from distill.tasks import accepting
from distill.tasks.image_view import teacher_view
from distill.tasks.networks import Sent
from distill.tasks.rehearsal import Actor, Agree, Cast
from distill.tasks.rehearsal import rehearse as rehearsed
from distill.types import Architecture, DistillConfig
from distill.vision_folder import BY_CONFIGURATION
from distill.warned import RunWarning


def catalogue_of(task: str) -> list[dict[str, Any]]:
    """The networks of images that answer the task."""
    return [entry for entry in networks() if task in accepting(entry["name"])]


def examine(architecture: Architecture, sent: Sent) -> dict[str, Any]:
    metadata = read_header(sent.path).metadata
    try:
        report = check(completed(architecture, metadata), str(sent.path))
    except InvalidTeacher as error:
        said = recorded_architecture(metadata)
        if said is not None and said.name != architecture.name:
            error.remedy = f"What was sent says that it is {said.name}: name that architecture. {error.remedy}"
        elif said is None and architecture.name in BY_CONFIGURATION and not architecture.options:
            error.remedy = f"Send the config.json of a {architecture.name} in the folder of its weights. {error.remedy}"
        raise
    view = teacher_view(report, sent.preprocessing)
    check_size(report, view)
    found = anatomy(report.architecture, report.num_classes, report.in_channels).to_dict()
    return found | report.to_dict() | {"preprocessing": view}


def check_size(report: CheckpointReport, view: Mapping[str, Any]) -> None:
    """Raises `InvalidTeacher` for a network of one size alone that was told, or tells, that it sees another."""
    if view["origin"] == "default" or size_option(report.architecture) is None:
        return
    size = (int(view["size"][0]), int(view["size"][1]))
    network = skeleton(report.architecture, report.num_classes, report.in_channels).to("meta").eval()
    try:
        run_on_meta(network, report.in_channels, size)
    except NotImplementedError:  # nothing is known without computing; the run will tell
        return
    except FORWARD_ERRORS as error:
        found = unfit_size(report.architecture, size, error)
        remedy = f"Tell its size at registration (preprocessing.input_size). {found.remedy}"
        raise InvalidTeacher(found.message, remedy, found.details) from error


def completed(architecture: Architecture, metadata: Mapping[str, str]) -> Architecture:
    """With the options that the file itself tells of that very architecture, where they are left out."""
    said = recorded_architecture(metadata)
    if said is None or said.name != architecture.name:
        return architecture
    return architecture.model_copy(update={"options": said.options | architecture.options})


def measure(question: dict[str, Any]) -> dict[str, Any]:
    architecture = Architecture.model_validate(question["architecture"])
    cost, file = measure_stored(**question | {"architecture": architecture})
    return asdict(cost) | asdict(file)


def build(question: dict[str, Any]) -> tuple[nn.Module, Tensor]:
    """The network of a question of `measure` with random weights, and one picture as it sees it."""
    architecture, channels = Architecture.model_validate(question["architecture"]), question["in_channels"]
    how = preprocessing(architecture, question["image_size"], question["native_size"], channels)
    return built(architecture, question["num_classes"], how.channels, how.size), how.one()


def layers(question: dict[str, Any]) -> int:
    """How many layers of the network of a question of `measure` can be distilled."""
    return len(_actor(question).layers(None))


def rehearse(
    question: dict[str, Any], answer: Answer | None = None, agree: Agree = lambda _: None
) -> list[RunWarning]:  # fmt: skip
    """`question`: {config, student, teacher}, the networks as `measure` is asked about them, the teacher None where the
    recipe needs none. `answer`, `agree`: of the task (`distill.tasks.rehearsal`); that of one class a picture unless
    given."""
    teacher = question["teacher"]
    cast = Cast(
        DistillConfig(**question["config"]),
        question["student"]["num_classes"],
        _actor(question["student"]),
        None if teacher is None else _actor(teacher),
    )
    return rehearsed(cast, answer or Reaching(), agree)


def _actor(asked: dict[str, Any]) -> Actor:
    architecture, native = Architecture.model_validate(asked["architecture"]), asked.get("native_size")
    how = preprocessing(
        architecture, asked["image_size"], None if native is None else tuple(native), asked["in_channels"]
    )
    network = skeleton(architecture, asked["num_classes"], how.channels, how.size).to("meta")
    return Actor(network, architecture, how)
