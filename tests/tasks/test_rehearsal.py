"""Before a job runs its recipe is put together on the meta device: what the run would refuse or warn of is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from distill import recipes
from distill.answers.reaching import Reaching
from distill.errors import UserError
from distill.models import Preprocessing
from distill.recipe_parts.untaught import modules_of
from distill.tasks.rehearsal import Actor, Cast, rehearse
from distill.training.mode import Mode
from distill.training.probe import Example, untaught
from distill.types import USUAL_LAYERS, Architecture, DistillConfig
from tests.recipes.nets import CLASSES, STAGES, TinyCNN, images, labels, pair

VIEW = Preprocessing((0.5,) * 3, (0.5,) * 3, tuple(images().shape[-2:]))  # type: ignore[arg-type]
REST = ["head.scale", "spare"]
LAYERS = {"layers": len(STAGES), "student_layers": list(STAGES), "teacher_layers": list(STAGES)}


class WithSpare(TinyCNN):
    """Has parts that its forward pass leaves out: a module, and a parameter of a module that runs."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.spare = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
        self.head.register_parameter("scale", nn.Parameter(torch.ones(2)))


def settings(recipe: str) -> DistillConfig:
    if recipe in ("ofa", "review"):
        pytest.skip("compares stages that these networks have not")
    if recipe == "focal_global":
        pytest.skip("weighs objects, which these labels have not")
    return DistillConfig(recipe=recipe, **LAYERS)


@pytest.mark.parametrize("recipe", recipes.names())
def test_what_no_loss_reaches_is_named(recipe: str) -> None:
    """By every recipe, from shapes alone as from a batch's gradients."""
    config = settings(recipe)
    student, teacher = WithSpare(4), TinyCNN(8, seed=1)
    made = recipes.get(recipe)(replace(pair(student, teacher), indices=range(len(labels()))))
    example = Example(images(), images(), labels(), torch.arange(len(labels())))
    found = untaught(made, example, Mode(), torch.device("cpu"))
    assert all(parameter.grad is None for parameter in student.parameters())
    cast = Cast(config, CLASSES, actor(WithSpare(4)), actor(TinyCNN(8, seed=1)) if made.needs_teacher else None)
    (told,) = rehearse(cast, Reaching(), lambda _: None)
    assert told.details["modules"] == modules_of(found, student)
    assert set(REST) <= set(told.details["modules"])


def actor(network: nn.Module) -> Actor:
    return Actor(network.to("meta"), Architecture(name="retort:resnet8"), VIEW)


def test_modules_are_named_whole() -> None:
    student = WithSpare(4)
    names = [name for name, _ in student.named_parameters() if name.startswith("spare") or name == "head.scale"]
    assert sorted(modules_of(names, student)) == REST
    assert modules_of([], student) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "more layers than there are": ({"layers": 60, "student_layers": None, "teacher_layers": None}, "layers"),
    "a layer that the student lacks": (LAYERS | {"student_layers": [*STAGES[:2], "nowhere"]}, "student_layers"),
    "a layer that the teacher lacks": (LAYERS | {"teacher_layers": [*STAGES[:2], "nowhere"]}, "teacher_layers"),
    "weights for other pairs": (LAYERS | {"recipe_parameters": {"layer_weights": [1.0] * 9}}, "recipe"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_run_would_refuse_is_refused(case: str) -> None:
    changes, field = REFUSED[case]
    config = DistillConfig(recipe="feature_only", **changes)
    cast = Cast(config, CLASSES, actor(TinyCNN(4)), actor(TinyCNN(8, seed=1)))
    with pytest.raises(UserError) as caught:
        rehearse(cast, Reaching(), lambda _: None)
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("recipe", [name for name in recipes.names() if recipes.get(name).needs_layers])
def test_a_number_of_layers_that_nobody_gave_refuses_no_recipe(recipe: str) -> None:
    """The student has three stages, fewer than a job distils that says nothing."""
    assert len(actor(TinyCNN(4)).layers(None)) == len(STAGES) + 1
    short = actor(Shallow(4))
    assert len(short.layers(None)) < USUAL_LAYERS
    config = DistillConfig(recipe=recipe)
    refusal = _refusal(config, short)
    assert refusal is None or refusal.details["field"] != "layers"
    told = _refusal(config.model_copy(update={"layers": USUAL_LAYERS}), short)
    assert told is not None
    assert (told.details["field"], told.details["side"]) == ("layers", "student")


class Shallow(TinyCNN):
    """Without its last stage."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.stages = self.stages[:2]
        self.head = nn.Linear(2 * width, CLASSES)


def _refusal(config: DistillConfig, student: Actor) -> UserError | None:
    try:
        rehearse(Cast(config, CLASSES, student, actor(TinyCNN(8, seed=1))), Reaching(), lambda _: None)
    except UserError as error:
        return error
    return None
