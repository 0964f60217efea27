"""Every recipe on every family: real gradients, padding that changes nothing, and nothing to learn from oneself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill import losses, recipes
from distill.answers import ClassAnswer
from distill.errors import InvalidConfig
from distill.layers import SequenceView, discover
from distill.quality import score
from distill.recipe_parts.base import Setup
from distill.tasks.generate_text.answer import TokenAnswer
from distill.types import Layer
from tests.language import tiny
from tests.recipes.nets import SAMPLES, targets_of
from tests.recipes.soon import soon
from tests.recipes.test_every_recipe import _NoSync as NoSync

CLASSES = 3


def blocks(network: nn.Module) -> list[Layer]:
    found = discover(network, tiny.batch())
    return [replace(layer, shape=layer.shape[-1:]) for layer in found if len(layer.shape) == 2]


def setup(family: str, task: str = "classify", view: str = "cls", same: bool = False, **changes: Any) -> Setup:
    """Two of three layers, the student half as wide, or (`same`) the teacher itself again."""
    untied = {"tie_word_embeddings": False} if task == "generate" else {}
    teacher = tiny.network(family, task, width=32, heads=2, **untied)
    student = tiny.network(family, task, seed=0 if same else 1, width=32 if same else 16, heads=2, **untied)
    ours, theirs = blocks(student), blocks(teacher)
    pick = (1, len(theirs) - 1)
    made = Setup(
        student=student, teacher=teacher, num_classes=CLASSES,
        student_layers=tuple(ours[i].name for i in pick), teacher_layers=tuple(theirs[i].name for i in pick),
        student_shapes=tuple(ours[i].shape for i in pick), teacher_shapes=tuple(theirs[i].shape for i in pick),
        student_example=tiny.batch(seed=5), teacher_example=tiny.batch(seed=5), view=SequenceView(view),  # type: ignore[arg-type]
        indices=tuple(range(SAMPLES)), answer=TokenAnswer() if task == "generate" else ClassAnswer(),
    )  # fmt: skip
    return replace(made, **changes)


def labels_of(task: str, inputs: dict[str, Tensor]) -> Tensor:
    if task == "classify":
        return torch.arange(len(inputs["input_ids"])) % CLASSES
    prompt = torch.arange(inputs["input_ids"].shape[1]) < 3
    return inputs["input_ids"].masked_fill(prompt | (inputs["attention_mask"] == 0), -100)


def step(recipe: Any, task: str, padding: int = 0) -> dict[str, Tensor]:
    inputs = tiny.batch(padding)
    torch.manual_seed(7)
    parts: dict[str, Tensor] = recipe(inputs, labels_of(task, inputs), targets_of(recipe, inputs))
    return parts


def make(name: str, family: str, task: str, **parameters: Any) -> Any:
    torch.manual_seed(3)
    view = "tokens" if task == "generate" else "last" if family in tiny.DECODERS else "cls"
    needs = recipes.get(name).needs_layers
    given = setup(family, task, view)
    empty = dict.fromkeys(("student_layers", "teacher_layers", "student_shapes", "teacher_shapes"), ())
    return recipes.get(name)(given if needs else replace(given, **empty), **parameters).eval()


def _tried(task: str, families: tuple[str, ...]) -> list[Any]:
    offered = [(name, family) for name in tiny.OFFERED[task] for family in families]
    return [soon(name, family, now=family in ("bert", "modernbert", "llama")) for name, family in offered]


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("task", ["classify", "generate"])
def test_layers_are_the_embeddings_and_the_blocks(family: str, task: str) -> None:
    if task == "generate" and family in tiny.ENCODERS:
        pytest.skip("encoders do not generate")
    found = blocks(tiny.network(family, task))
    assert len(found) == 4
    assert [layer.name.rpartition(".")[2] for layer in found[1:]] == ["0", "1", "2"]


@pytest.mark.parametrize(("name", "family"), _tried("classify", tiny.FAMILIES))
def test_classifiers_learn_by_every_recipe_and_padding_changes_nothing(name: str, family: str) -> None:
    recipe = make(name, family, "classify")
    parts = step(recipe, "classify")
    assert parts["outputs"].shape == (4, CLASSES)
    parts["loss"].backward()
    trained = [p for p in recipe.student.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert len(trained) > 3
    assert all(p.grad is None for p in recipe.teacher.parameters())
    padded = step(recipe, "classify", padding=6)
    for key, value in parts.items():
        torch.testing.assert_close(padded[key], value, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("name", tiny.OFFERED["classify"])
def test_a_step_of_classification_adds_no_wait_for_the_device(name: str) -> None:
    """On DeBERTa, since transformers itself waits where it prepares the other families' masks."""
    recipe = make(name, "deberta-v2", "classify").train()
    step(recipe, "classify")
    inputs = tiny.batch()
    labels, targets = labels_of("classify", inputs), targets_of(recipe, inputs)
    with NoSync():
        recipe(inputs, labels, targets)["loss"].backward()


@pytest.mark.parametrize(("name", "family"), _tried("generate", tiny.DECODERS))
def test_decoders_learn_by_every_recipe_and_padding_changes_nothing(name: str, family: str) -> None:
    recipe = make(name, family, "generate")
    parts = step(recipe, "generate")
    tokens = int((labels_of("generate", tiny.batch())[:, 1:] != -100).sum())
    assert parts["outputs"].shape == (tokens, tiny.VOCABULARY)
    parts["loss"].backward()
    assert sum(p.grad is not None and p.grad.abs().sum() > 0 for p in recipe.student.parameters()) > 3
    padded = step(recipe, "generate", padding=6)
    for key, value in parts.items():
        torch.testing.assert_close(padded[key], value, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "task"), [*((f, "classify") for f in tiny.FAMILIES), *((f, "generate") for f in tiny.DECODERS)]
)
def test_labels_never_reach_the_backbone_in_feature_only(family: str, task: str) -> None:
    recipe = make("feature_only", family, task, feature_weight=0.0)
    step(recipe, task)["loss"].backward()
    deepest = recipe.student_layers[-1]
    prefix = deepest.rpartition(".")[0]
    head = [name for name, p in recipe.student.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert head
    assert not any(name.startswith(prefix) or "embed" in name or "wte" in name for name in head)


def test_tied_embeddings_are_refused_by_feature_only() -> None:
    given = setup("gpt2", "generate", "tokens")
    tied = tiny.network("gpt2", "generate", seed=1, width=16)
    with pytest.raises(InvalidConfig, match="wte"):
        recipes.get("feature_only")(replace(given, student=tied))


@pytest.mark.parametrize("family", ["bert", "modernbert", "opt"])
@pytest.mark.parametrize("view", ["cls", "mean", "last", "tokens"])
@pytest.mark.parametrize("loss", losses.names())
def test_every_loss_is_zero_for_the_teacher_itself(loss: str, view: str, family: str) -> None:
    given = setup(family, view=view, same=True)
    if losses.get(loss).by_channel:  # a row of a text has no positions, and that is said before any work
        with pytest.raises(InvalidConfig):
            recipes.get("feature_logit")(given, feature_loss=loss)
        return
    recipe = recipes.get("feature_logit")(given, feature_loss=loss, cross_entropy_weight=0.0).eval()
    for pair in recipe.features.pairs:
        if loss == "mse":
            nn.init.eye_(pair.projector.weight)
    parts = step(recipe, "classify")
    assert float(parts["feature"]) == pytest.approx(0, abs=2e-5)
    assert float(parts["logit"]) == pytest.approx(0, abs=1e-6)
    assert float(parts["loss"].detach()) == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize(
    ("family", "task"), [*((f, "classify") for f in tiny.FAMILIES), *((f, "generate") for f in tiny.DECODERS)]
)
def test_stepping_stones_of_the_teacher_itself_are_the_teacher(family: str, task: str) -> None:
    given = setup(family, task, same=True)
    recipe = recipes.get("blockwise_logit")(given, label_weight=0.0).eval()
    recipe.connectors = nn.ModuleList(nn.Identity() for _ in recipe.connectors)
    before = {name: tensor.clone() for name, tensor in given.teacher.state_dict().items()}  # type: ignore[union-attr]
    for padding in (0, 7):  # other lengths than the example's: masks and positions are the batch's own
        parts = step(recipe, task, padding)
        assert float(parts["loss"]) == pytest.approx(0, abs=1e-4)
    parts["loss"].backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.teacher.state_dict().items())  # type: ignore[union-attr]


ONESELF = [("bert", "classify", "cls"), ("roberta", "classify", "mean"), ("bert", "classify", "tokens")]
ONESELF += [("llama", "classify", "last"), ("gpt2", "generate", "tokens"), ("qwen3", "generate", "mean")]


@pytest.mark.parametrize(("family", "task", "view"), ONESELF)
@pytest.mark.parametrize("loss", losses.names())
def test_feature_only_has_nothing_to_teach_the_teacher_itself(loss: str, family: str, task: str, view: str) -> None:
    """As it is built: projectors of equal widths begin as the identity."""
    given = setup(family, task, view, same=True)
    if losses.get(loss).by_channel:
        with pytest.raises(InvalidConfig):
            recipes.get("feature_only")(given, feature_loss=loss)
        return
    parts = step(recipes.get("feature_only")(given, feature_loss=loss, head_weight=0.0).eval(), task)
    assert float(parts["feature"]) == pytest.approx(0, abs=2e-5)
    assert float(parts["loss"].detach()) == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize(("family", "task", "view"), ONESELF)
def test_similarity_preserving_has_nothing_to_teach_the_teacher_itself(family: str, task: str, view: str) -> None:
    given = setup(family, task, view, same=True)
    parts = step(recipes.get("similarity_preserving")(given, cross_entropy_weight=0.0).eval(), task)
    assert float(parts["loss"].detach()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("family", "task", "view"), ONESELF)
@pytest.mark.parametrize("loss", losses.names())
def test_semckd_has_nothing_to_teach_the_teacher_itself(loss: str, family: str, task: str, view: str) -> None:
    """Of one pair, since it compares every student layer with every teacher layer, and with its random three-layer
    projector, which only `mse` has, replaced by the identity."""
    given = setup(family, task, view, same=True).deepest()
    if losses.get(loss).by_channel:
        with pytest.raises(InvalidConfig):
            recipes.get("semckd")(given, feature_loss=loss)
        return
    recipe = recipes.get("semckd")(given, feature_loss=loss, cross_entropy_weight=0.0).eval()
    recipe.projectors = nn.ModuleList(nn.ModuleList(nn.Identity() for _ in row) for row in recipe.projectors)
    parts = step(recipe, task)
    assert float(parts["feature"]) == pytest.approx(0, abs=2e-5)
    assert float(parts["loss"].detach()) == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize(("family", "task", "view"), ONESELF)
@pytest.mark.parametrize("loss", losses.names())
def test_simkd_has_nothing_to_teach_the_teacher_itself(loss: str, family: str, task: str, view: str) -> None:
    """With its random three-layer projector replaced by the identity."""
    given = setup(family, task, view, same=True)
    if losses.get(loss).by_channel:
        with pytest.raises(InvalidConfig):
            recipes.get("simkd")(given, feature_loss=loss)
        return
    recipe = recipes.get("simkd")(given, feature_loss=loss, head_weight=0.0).eval()
    recipe.projector = nn.Identity()
    parts = step(recipe, task)
    assert float(parts["feature"]) == pytest.approx(0, abs=2e-5)
    assert float(parts["loss"].detach()) == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize("name", ["logit", "logit_standardized"])
def test_logit_terms_are_zero_for_the_teacher_itself(name: str) -> None:
    given = setup("llama", "generate", "tokens", same=True)
    parts = step(recipes.get(name)(given, cross_entropy_weight=0.0).eval(), "generate")
    assert float(parts["loss"]) == pytest.approx(0, abs=1e-6)


def test_token_level_divergence_in_both_directions() -> None:
    given = setup("opt", "generate", "tokens")
    inputs = tiny.batch()
    labels = labels_of("generate", inputs)
    values = {}
    for direction in ("forward", "reverse"):
        recipe = recipes.get("logit")(given, cross_entropy_weight=0.0, temperature=1.0, direction=direction).eval()
        values[direction] = float(recipe(inputs, labels, recipe.targets(inputs))["loss"])
    with torch.no_grad():
        teacher, student = (n(**inputs).logits.double().log_softmax(-1) for n in (given.teacher, given.student))  # type: ignore[misc]
    total = {"forward": 0.0, "reverse": 0.0}
    count = 0
    for row in range(len(labels)):
        for position in range(labels.shape[1] - 1):
            if labels[row, position + 1] != -100:
                p, q = teacher[row, position], student[row, position]
                total["forward"] += float((p.exp() * (p - q)).sum())
                total["reverse"] += float((q.exp() * (q - p)).sum())
                count += 1
    for direction, value in values.items():
        assert value == pytest.approx(total[direction] / count, rel=1e-4)
    assert values["forward"] != pytest.approx(values["reverse"], rel=1e-3)


def test_answered_takes_the_position_before_each_token() -> None:
    logits = torch.arange(2 * 4 * 3).view(2, 4, 3).float()
    labels = torch.tensor([[-100, -100, 1, 2], [-100, 0, -100, -100]])
    found = TokenAnswer().compare(logits, labels, {"logits": -logits, "feature_0": logits})
    rows, wanted, targets = found.outputs, found.labels, found.targets
    assert wanted.tolist() == [1, 2, 0]
    assert torch.equal(rows, torch.stack([logits[0, 1], logits[0, 2], logits[1, 0]]))
    assert torch.equal(targets["logits"], -rows)
    assert targets["feature_0"] is logits


def test_views_of_a_padded_batch_against_a_loop() -> None:
    inputs = tiny.batch(padding=2)
    feature = torch.randn(4, 11, 5)
    counts = inputs["attention_mask"].sum(1).tolist()
    rows = {reads: SequenceView(reads).rows(feature, inputs) for reads in ("cls", "mean", "last")}  # type: ignore[arg-type]
    for i, count in enumerate(counts):
        assert torch.equal(rows["cls"][i], feature[i, 0])
        assert torch.equal(rows["last"][i], feature[i, count - 1])
        torch.testing.assert_close(rows["mean"][i], feature[i, :count].mean(0))
    view = SequenceView("tokens")
    picked = view.pick(view.rows(feature, inputs), inputs, torch.zeros(4))
    assert torch.equal(picked, torch.cat([feature[i, :count] for i, count in enumerate(counts)]))
    few = view.pick(feature, inputs, torch.zeros(4), most=10)
    assert len(few) == 10
    assert torch.equal(few[0], picked[0])
    assert torch.equal(few[-1], picked[-1])
    vector = torch.randn(4, 5)
    assert view.rows(vector, inputs) is vector


@pytest.mark.parametrize("reads", ["cls", "mean", "last"])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_q_curve_does_not_see_padding(family: str, reads: str) -> None:
    network = tiny.network(family)
    labels = torch.arange(12) % 3
    whole = tiny.batch(rows=12)

    def curve(padding: int, size: int) -> list[float]:
        padded = {name: torch.cat([t, torch.zeros(12, padding, dtype=t.dtype)], 1) for name, t in whole.items()}
        parts = [{name: t[i : i + size] for name, t in padded.items()} for i in range(0, 12, size)]
        found = score(network, blocks(network), lambda: iter(parts), labels, 100, view=SequenceView(reads))  # type: ignore[arg-type]
        return [layer.quality for layer in found]

    assert curve(0, 12) == pytest.approx(curve(9, 5), rel=1e-3, abs=1e-5)
