"""What every task checks and decides before it opens anything large."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from distill import labels_needed, presets, recipes, selection
from distill.class_names import arrangement
from distill.data.splits import stratified_sample, stratified_split
from distill.device import resolve_device
from distill.errors import InvalidConfig
from distill.models.names import resolve
from distill.optimisation import refusals
from distill.parameters import check as check_parameters
from distill.parameters import check_beside
from distill.recipe_parts.base import Recipe
from distill.tasks import accepting, prefixes
from distill.tasks import spec as specification
from distill.tasks.base import Splits
from distill.tasks.several_teachers import unfit
from distill.tasks.spec import TaskSpec
from distill.teacher_classes import ClassMatch, refusal
from distill.training import distributed, optimizers
from distill.training.data import Order
from distill.types import DistillConfig, RunSpec
from distill.unlabelled import NO_LABEL


def recipe_of(run: RunSpec) -> type[Recipe]:
    """The recipe's class, with its own and the selection rule's parameters checked."""
    config = run.config
    presets.check(config.preset)
    recipes.registry.check(config.recipe)
    selection.registry.check(config.selection)
    check_parameters(selection.registry.parameters(config.selection), config.selection_parameters)
    known = recipes.registry.parameters(config.recipe)
    check_parameters(known, config.recipe_parameters)
    check_beside(known, config.recipe_parameters, config.model_dump())
    recipe: type[Recipe] = recipes.get(config.recipe)
    if recipe.needs_teacher and not run.teachers:
        raise InvalidConfig(
            f"The recipe {config.recipe} needs a teacher.", "Name a teacher, or use the recipe cross_entropy."
        )
    for name in ("teacher_layers", "student_layers"):
        layers = getattr(config, name)
        if recipe.needs_layers and layers is not None and config.layers not in ("auto", len(layers)):
            raise InvalidConfig(
                f"{name} names {len(layers)} layers, but layers (k) is {config.layers}.",
                "Make them agree.",
                {"field": name, "named": len(layers), "layers": config.layers},
            )
    both = (config.teacher_layers, config.student_layers)
    if recipe.needs_layers and None not in both and len(both[0] or ()) != len(both[1] or ()):
        raise InvalidConfig(
            "teacher_layers and student_layers differ in length; layers pair one to one.",
            "Name equally many.",
            {"field": "student_layers", "named": [len(each or ()) for each in both]},
        )
    return recipe


def check_optimisation(spec: TaskSpec, config: DistillConfig) -> None:
    """Raises `UnknownName`, and `InvalidConfig` for settings of optimizer and schedule that cannot be meant."""
    for found in refusals(config, optimizers.facts(config.optimizer), spec.modality):
        raise InvalidConfig(found.message, found.remedy, {"field": found.field})


def check_labels(spec: TaskSpec, run: RunSpec) -> None:
    """Raises `InvalidConfig` for a recipe that needs labels, on data without any."""
    found = labels_needed.refusal(run.config.recipe, spec.offers)
    if found is not None:
        raise InvalidConfig(found.message, found.remedy, {"field": "recipe", "value": run.config.recipe})


def check_label_settings(config: DistillConfig, unlabelled: int, labelled: bool) -> None:
    """Raises `InvalidConfig` for settings of labels that there are not (`labels_needed.of_settings`)."""
    for name, found in labels_needed.of_settings(config, unlabelled, labelled):
        raise InvalidConfig(found.message, found.remedy, {"field": name})


def check_networks(spec: TaskSpec, run: RunSpec) -> None:
    """Raises `InvalidConfig` for a network that answers another task, by its name alone, and for an augmentation
    or a recipe that the task does not offer; `UnknownName`."""
    beside = (("comparison", run.comparison), ("start", run.start))
    given = [("student", run.student), *(("teacher", each.architecture) for each in run.teachers)]
    given += [(noun, one.architecture) for noun, one in beside if one is not None]
    for noun, named in given:
        if spec.name in (answered := _answered(named.name)):
            continue
        titles = " and ".join(specification(name).title for name in answered) or "no task"
        raise InvalidConfig(
            f"The dataset is for {spec.title}, the {noun} {named.name} for {titles}.",
            f"Use a network whose name begins with {prefixes(spec)}.",
            {"field": noun, "value": named.name, "task": spec.name},
        )
    check_optimisation(spec, run.config)
    check_teachers(spec, run)
    if run.probe is not None and not spec.unlabelled:
        raise InvalidConfig(
            f"{spec.title}: every sample has a label, so that no probe is needed.",
            "Leave the probe out.",
            {"field": "probe", "task": spec.name},
        )
    if unfit := spec.refuses_augmentation(run.config.augmentation):
        raise unfit
    if run.config.recipe in recipes.names() and not spec.offers(run.config.recipe):
        raise InvalidConfig(
            f"{spec.title} does not offer the recipe {run.config.recipe}.",
            f"Use one of {', '.join(name for name in recipes.names() if spec.offers(name))}.",
            {"field": "recipe", "value": run.config.recipe, "task": spec.name},
        )


def check_teachers(spec: TaskSpec, run: RunSpec) -> None:
    """Raises `InvalidConfig` for teachers that the run cannot learn from together, by their number alone."""
    for found in unfit(spec, run.config, [each.label for each in run.teachers]):
        raise InvalidConfig(found.message, found.remedy, {"field": found.field})


def _answered(name: str) -> tuple[str, ...]:
    """The tasks of networks of this name, with or without its library. Raises `UnknownName`."""
    return accepting(name) or accepting(str(resolve(name)))


def device_of(config: DistillConfig) -> tuple[torch.device, str]:
    """The device of this process, with the reason."""
    if config.device == "auto" and distributed.world() > 1 and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device()), "one GPU a process"
    return resolve_device(config.device)


def splits_of(
    config: DistillConfig, train: Tensor, test: Tensor, *, labelled: bool = False, validation: Tensor | None = None
) -> Splits:
    """Validation is held out of the training samples, unless the dataset says which they are: `validation`, positions
    among them; limits take the same number of every stratum. `train`, `test`:
    the stratum of each sample of the dataset's splits, int64; `NO_LABEL` of a sample without a label. Of those none is
    held out where others have labels, a limit takes as large a share as of the others (**our choice**), and `labelled`
    leaves them out."""
    if validation is not None and len(validation):
        places = torch.arange(len(train))
        others = places[~torch.isin(places, validation) & ((train != NO_LABEL) if labelled else True)]
        used = others[_limited(train[others], config.train_limit, config.seed)]
        return Splits(used, validation, _limited(test, config.test_limit, 0))
    kept = _limited(train, config.train_limit, config.seed)
    known = kept[train[kept] != NO_LABEL]
    judged = known if len(known) else kept
    _, held = stratified_split(train[judged], config.validation_fraction, config.seed)
    validation, used = judged[held], judged if labelled else kept
    used = used[~torch.isin(used, validation)]
    if len(used) < 2 or len(validation) < 1:
        raise InvalidConfig(
            f"{len(kept)} training samples leave {len(used)} to train on and {len(validation)} to validate.",
            "Use more samples, or another validation_fraction.",
        )
    # The test samples of a limited test must be the same for every seed, or seeds could not be compared.
    return Splits(used, validation, _limited(test, config.test_limit, 0))


def _limited(strata: Tensor, limit: int | None, seed: int) -> Tensor:
    if limit is None or limit >= len(strata):
        return torch.arange(len(strata))
    known, unknown = ((strata != NO_LABEL).nonzero()[:, 0], (strata == NO_LABEL).nonzero()[:, 0])
    if not len(known) or not len(unknown):
        return stratified_sample(strata, limit, seed)
    most = max(round(limit * len(known) / len(strata)), len(set(strata[known].tolist())))
    some = known[stratified_sample(strata[known], most, seed)]
    others = unknown[stratified_sample(strata[unknown], max(limit - len(some), 1), seed)]
    return torch.cat([some, others]).sort().values


def share_of(order: Order) -> int:
    """Samples of each batch that this process sees. Raises `InvalidConfig` where they cannot be shared equally."""
    if order.batch_size % order.world:
        raise InvalidConfig(
            f"A batch of {order.batch_size} cannot be shared equally by {order.world} processes.",
            f"Choose a batch_size that is a multiple of {order.world}.",
        )
    return order.batch_size // order.world


def check_classes(spec: TaskSpec, config: DistillConfig, match: ClassMatch) -> ClassMatch:
    """The same. Raises `InvalidConfig` where the recipe reads the logits of a teacher of other classes."""
    found = refusal(match, config, spec.offers)
    if found is not None:
        raise InvalidConfig(found.message, found.remedy, {"field": "teacher", "recipe": config.recipe})
    return match


def check_start(spec: TaskSpec, run: RunSpec) -> None:
    """Raises `InvalidConfig` for weights that the task's students do not start from, and for a learning rate of
    theirs where there are none."""
    if run.start is not None and not spec.student_weights:
        raise InvalidConfig(
            f"{spec.title}: a student starts from its teacher or from random weights, not from other weights.",
            "Leave the student's weights out; its options say how it starts.",
            {"field": "student", "task": spec.name},
        )
    if run.start is None and run.config.backbone_learning_rate != "auto":
        raise InvalidConfig(
            "backbone_learning_rate is for a student that starts from given weights.",
            "Leave it out, or name the student's weights.",
            {"field": "backbone_learning_rate"},
        )


def told_classes(spec: TaskSpec, match: ClassMatch) -> dict[str, str]:
    """What `teacher_classes` became, by field; {} for a task without that setting."""
    return {"teacher_classes": f"{match.said}: {match.reason}"} if "teacher_classes" in spec.settings else {}


def check_order(who: str, theirs: Sequence[str], ours: Sequence[str]) -> None:
    """Raises `InvalidConfig` where two networks would mean different classes by one logit."""
    if arrangement(theirs, ours) == "permuted":
        raise InvalidConfig(
            f"{who} and dataset have the same classes in another order.",
            f"Use a {who.lower()} that was trained on this dataset here, or name the classes so that they sort as its "
            "own.",
            {who.lower(): list(theirs)[:20], "dataset": list(ours)[:20]},
        )
