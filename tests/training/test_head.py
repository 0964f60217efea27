"""The classifier fitted anew after training: against scikit-learn, at its edges, and within a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from distill import recipes
from distill.answers import Answer, ClassAnswer
from distill.control import Control
from distill.errors import InvalidConfig
from distill.models import build
from distill.recipe_parts.base import Recipe
from distill.tasks.generate_text.answer import TokenAnswer
from distill.tasks.segment_images.answer import MaskAnswer
from distill.train import train
from distill.training import checkpoint
from distill.training.data import Order
from distill.training.head import Rows, _Problem, _Score, classifier_of, fit_head, fit_linear, fits, most_samples
from distill.training.mode import Mode
from distill.types import Architecture
from tests.training.conftest import CLASSES, alone, config, network, tiny_data, tiny_recipe
from tests.training.test_resume import drain, same

NEVER = lambda: False  # noqa: E731


def rows(n: int = 300, width: int = 5, seed: int = 0, noise: float = 2.0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % CLASSES
    centres = torch.randn(CLASSES, width, generator=torch.Generator().manual_seed(1))
    features = centres[labels] + noise * torch.randn(n, width, generator=generator)
    return Rows(3 + features * torch.logspace(-2, 2, width), labels)  # scales that no one learning rate suits


def head(width: int = 5, bias: bool = True, zero: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    made = nn.Linear(width, CLASSES, bias=bias)
    if zero:
        nn.init.zeros_(made.weight)
    return made


@pytest.mark.parametrize("penalty", [1e-1, 1e-3])
def test_the_optimum_is_scikit_learns(penalty: float) -> None:
    found = rows()
    solved = _Problem(head(), found).solve(penalty)
    whitened = ((found.features - found.features.mean(0)) / found.features.std(0, unbiased=False)).numpy()
    reference = LogisticRegression(C=1 / (penalty * len(whitened)), tol=1e-8, max_iter=10_000)
    wanted = reference.fit(whitened, found.labels.numpy()).predict_proba(whitened)
    logits = found.features @ solved["weight"].T + solved["bias"]
    assert np.abs(logits.softmax(1).numpy() - wanted).max() < 2e-3


def loss_of(made: nn.Linear, found: Rows) -> float:
    return float(nn.functional.cross_entropy(made(found.features).detach(), found.labels))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("n", "width"), [(300, 5), (12, 40)])
def test_the_validation_loss_never_grows(bias: bool, n: int, width: int) -> None:
    made, held = head(width, bias, zero=False), rows(200, width, seed=9)
    before = loss_of(made, held)
    told = fit_linear(made, rows(n, width), held, NEVER)
    assert told is not None
    assert told.loss_before == pytest.approx(before)
    assert loss_of(made, held) == pytest.approx(told.loss_after, rel=1e-4)
    assert told.fitted
    assert told.loss_after < before


def test_labels_that_say_nothing_leave_the_head_as_good_as_it_was() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = Rows(torch.randn(30, 20, generator=generator), torch.arange(30) % CLASSES)
    held = Rows(torch.randn(400, 20, generator=generator), torch.arange(400) % CLASSES)
    made = head(20)  # says 1 / C of every class, which is the best that can be said
    with torch.no_grad():
        made.bias.zero_()
    told = fit_linear(made, noise, held, NEVER)
    assert told is not None
    assert not told.fitted
    assert not made.weight.any()


def test_a_dead_feature_keeps_its_weights() -> None:
    found, held, made = rows(), rows(seed=5), head(zero=False)
    for part in (found, held):
        part.features[:, 2] = 7.0
    before = made.weight.detach().clone()
    told = fit_linear(made, found, held, NEVER)
    assert told is not None
    assert told.fitted
    assert torch.equal(made.weight[:, 2], before[:, 2])
    assert not torch.equal(made.weight[:, 0], before[:, 0])


def test_nan_features_change_nothing() -> None:
    found, made = rows(), head(zero=False)
    found.features[3, 1] = float("nan")
    before = made.weight.detach().clone()
    told = fit_linear(made, found, rows(seed=5), NEVER)
    assert told is not None
    assert not told.fitted
    assert torch.equal(made.weight, before)


@pytest.mark.parametrize(
    ("name", "options", "side"),
    [
        ("retort:resnet8", {"width": 8}, 8),
        ("timm:vit_tiny_patch16_224", {}, 224),
        ("timm:mobilenetv3_small_050", {}, 64),
        ("timm:convnext_atto", {}, 64),
        ("torchvision:vgg11", {}, 64),
        ("torchvision:regnet_x_400mf", {}, 64),
    ],
)
def test_the_classifier_is_found(name: str, options: dict[str, Any], side: int) -> None:
    made = build(Architecture(name=name, options=options), 7)
    found = classifier_of(made, torch.randn(2, 3, side, side))
    assert found is not None
    assert found.out_features == 7
    assert made.training  # as it was


class Averaged(nn.Module):
    """Two heads, as distilled DeiT has them: neither's output is the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return (self.one(x) + self.two(x)) / 2


class Tokens(nn.Module):
    """Logits for every token, as a decoder gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x[:, None].expand(-1, 2, -1))
        return out


@pytest.mark.parametrize("made", [Averaged(), Tokens()])
def test_without_one_linear_classifier_nothing_is_fitted(made: nn.Module) -> None:
    assert classifier_of(made, torch.randn(2, 4)) is None


def test_a_decoders_output_layer_is_no_classifier() -> None:
    """Its logits are rows of one linear layer too, but what they predict are tokens."""
    assert ClassAnswer().no_fit() == ""
    assert "tokens" in TokenAnswer().no_fit()


def test_squeezenet_classifies_by_a_convolution() -> None:
    made = build(Architecture(name="torchvision:squeezenet1_1"), 7)
    assert classifier_of(made, torch.randn(2, 3, 64, 64)) is None


def test_only_the_classifier_changes() -> None:
    data, made = tiny_data(train=64, validation=32), network(6, 3)
    order = Order(8, torch.device("cpu"), True, False, False, False)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    told = fit_head(made, data.open_train(order), data.open_validation(order), Mode(), lambda head: 50)
    assert told is not None
    assert told.fitted
    assert told.samples == 50
    changed = {name for name, value in made.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"8.weight", "8.bias"}
    assert all(parameter.grad is None for name, parameter in made.named_parameters() if not name.startswith("8."))


@pytest.mark.parametrize(
    ("available", "seen", "width", "classes", "most"),
    [
        (500, 10_000, 32, 10, 500),  # all there are
        (60_000, 10_000, 32, 10, 10_000),
        (60_000, 300_000, 32, 10, 30_000),  # a tenth of what training saw
        (50_000, 10**6, 512, 100, 50_000),
        (5_000_000, 10**8, 32, 10, 2**30 // (4 * 72)),  # what fits
        (1_300_000, 10**8, 2048, 1000, 2441),  # what a CPU has done in minutes
    ],
)
def test_how_many_samples(available: int, seen: int, width: int, classes: int, most: int) -> None:
    made = nn.Linear(width, classes, device="meta").to_empty(device="cpu")
    assert most_samples(available, seen, made) == most


def test_too_few_samples_for_so_many_classes() -> None:
    data, made = tiny_data(), network(6, 3)
    order = Order(8, torch.device("cpu"), True, False, False, False)
    told = fit_head(made, data.open_train(order), data.open_validation(order), Mode(), lambda head: 5 * CLASSES - 1)
    assert told is not None
    assert not told.fitted
    assert "too few" in told.reason


# ---- within a run


@pytest.mark.parametrize(("answer", "possible"), [(ClassAnswer(), True), (TokenAnswer(), False), (MaskAnswer(), False)])
def test_auto_is_one_rule_that_asks_the_answer(answer: Answer, possible: bool) -> None:
    wanted, why = fits("auto", answer)
    assert wanted is possible
    assert why
    assert answer.no_fit() in why
    assert fits(False, answer) == (False, "given")
    if possible:
        assert fits(True, answer) == (True, "given")
        return
    with pytest.raises(InvalidConfig) as caught:
        fits(True, answer)
    assert caught.value.details["field"] == "fit_head"


@pytest.mark.parametrize("name", recipes.without("needs_regions"))
def test_no_recipe_has_a_rule_of_its_own(name: str) -> None:
    assert not hasattr(recipes.get(name), "labels_teach_head")


def test_a_run_fits_and_says_so(tmp_path: Path) -> None:
    plain, fitted = alone(), alone()
    _, without = drain(train(plain, tiny_data(), config(fit_head=False), tmp_path / "a", Control()))
    events, outcome = drain(train(fitted, tiny_data(), config(fit_head=True), tmp_path / "b", Control()))
    assert without.head is None
    assert outcome.head is not None
    assert outcome.head.fitted
    assert outcome.validation == outcome.head.accuracy_after
    assert outcome.head.accuracy_before == without.validation
    assert 0 < outcome.head.seconds < outcome.seconds
    one, other = plain.exported().state_dict(), fitted.exported().state_dict()
    assert [key for key in one if not torch.equal(one[key], other[key])] == ["8.weight", "8.bias"]
    (resolved,) = [event.data for event in events if event.kind == "resolved"]
    assert (resolved["config"]["fit_head"], resolved["reasons"]["fit_head"]) == (True, "given")
    assert any("fitted on 40 training samples" in event.data.get("message", "") for event in events)


def unsure(held: Rows) -> nn.Linear:
    """The best classifier of the validation samples, as unsure as one that was taught by soft targets: its loss is
    high, its accuracy the highest there is."""
    made = head()
    with torch.no_grad():
        for name, value in _Problem(made, held).solve(1e-5).items():
            getattr(made, name).copy_(0.02 * value)
    return made


@pytest.mark.parametrize("keep", [True, False])
def test_a_lower_loss_that_costs_accuracy_is_not_taken_by_auto(keep: bool) -> None:
    held = rows(60, seed=3, noise=4.0)
    made = unsure(held)
    told = fit_linear(made, rows(noise=4.0), held, NEVER, keep_accuracy=keep)
    assert told is not None
    assert told.loss_after < told.loss_before  # type: ignore[operator]
    assert told.accuracy_after < told.accuracy_before  # type: ignore[operator]
    assert told.fitted is not keep
    assert _Score.of(made.weight, made.bias, held).accuracy == (told.accuracy_before if keep else told.accuracy_after)


@pytest.mark.parametrize("recipe", [alone, tiny_recipe])
def test_auto_is_the_same_with_a_teacher_and_without(recipe: Callable[[], Recipe], tmp_path: Path) -> None:
    events, outcome = drain(train(recipe(), tiny_data(validation=8), config(fit_head="auto"), tmp_path, Control()))
    (resolved,) = [event.data for event in events if event.kind == "resolved"]
    assert (resolved["config"]["fit_head"], resolved["reasons"]["fit_head"]) == fits("auto", ClassAnswer())
    assert outcome.head is not None
    assert outcome.head.accuracy_after is not None
    assert outcome.head.fitted is (outcome.head.accuracy_after >= outcome.head.accuracy_before)


@pytest.mark.parametrize("variant", [{}, {"ema_decay": 0.5}])
def test_left_before_the_fit_and_resumed_is_the_same(tmp_path: Path, variant: dict[str, Any]) -> None:
    settings = config(fit_head=True, **variant)
    straight = alone()
    _, whole = drain(train(straight, tiny_data(), settings, tmp_path / "a", Control()))
    first, control = alone(), Control()
    running = train(first, tiny_data(), settings, tmp_path / "b", control)
    for event in running:
        if event.kind == "log" and "Fitting" in event.data["message"]:
            break
    _, outcome = drain(_after(running, control))
    assert outcome.ending == "handover"
    second = alone()
    newest = checkpoint.existing(tmp_path / "b")[-1]
    _, resumed = drain(train(second, tiny_data(), settings, tmp_path / "b", Control(handover=True), newest))
    assert resumed.ending == "finished"
    assert same(straight.exported().state_dict(), second.exported().state_dict())
    assert whole.head == resumed.head


def _after(running: Any, control: Control) -> Any:
    control.handover = True
    return (yield from running)


def test_a_stopped_run_fits_the_best_student(tmp_path: Path) -> None:
    made, control = alone(), Control()
    running = train(made, tiny_data(), config(fit_head=True, epochs=50), tmp_path, control)
    for event in running:
        if event.kind == "checkpoint" and event.data["step"] > 0:
            break
    control.stop = True
    _, outcome = drain(running)
    assert outcome.ending == "stopped"
    assert outcome.head is not None
    assert outcome.head.accuracy_before == outcome.best_validation


def test_an_accuracy_is_the_share_to_the_last_digit() -> None:
    assert _Score(0.0, torch.tensor([True] * 5 + [False]), 0.0).accuracy == 5 / 6
