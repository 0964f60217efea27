"""The loop: events, stop, divergence, averaging, and equality with a naive loop."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.answers import ClassAnswer
from distill.control import Control
from distill.errors import AtChance, Diverged
from distill.recipe_parts.base import Recipe, Setup
from distill.train import train
from distill.training.data import Order
from distill.training.divergence import Guard
from distill.training.mode import Mode
from distill.training.schedule import OneCycle
from distill.training.validate import validate
from tests.training.conftest import Alone, alone, config, network, tiny_data, tiny_recipe
from tests.training.test_resume import drain


def test_equals_a_naive_loop(tmp_path: Path) -> None:
    data, settings = tiny_data(), config(epochs=2, clip_norm=0.5, weight_decay=0.1)
    recipe = alone(dropout=0.0)
    drain(train(recipe, data, settings, tmp_path, Control()))

    student = network(6, 3, dropout=0.0)
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.01, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=10, pct_start=0.3)
    from distill.training.data import Order

    order = Order(8, torch.device("cpu"), shuffle=True, drop_last=True, teacher=False, augment=False)
    for epoch in range(2):
        for batch in data.open_train(order).epoch(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(student(batch.student), batch.labels).backward()
            nn.utils.clip_grad_norm_(student.parameters(), 0.5)
            optimizer.step()
            schedule.step()
    for name, value in student.state_dict().items():
        torch.testing.assert_close(recipe.exported().state_dict()[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("total", "warmup"), [(10, 0.3), (100, 0.3), (57, 0.1), (7, 0.5)])
def test_one_cycle_is_torchs(total: int, warmup: float) -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=total, pct_start=warmup)
    ours = OneCycle(0.02, total, warmup)
    for step in range(total):
        group = optimizer.param_groups[0]
        assert ours(step) == pytest.approx((group["lr"], group["betas"][0]), rel=1e-9)
        optimizer.step()
        if step + 1 < total:
            theirs.step()


@pytest.mark.parametrize("total", [1, 2, 3])
def test_one_cycle_of_few_steps_and_without_warmup(total: int) -> None:
    for warmup in (0.0, 0.3, 0.9):
        rates = [OneCycle(0.1, total, warmup)(step)[0] for step in range(total)]
        assert all(0 < rate <= 0.1 for rate in rates)
    assert OneCycle(0.1, total, 0.0)(0)[0] == 0.1


def test_accumulated_gradients_equal_the_larger_batch(tmp_path: Path) -> None:
    class Linear(Alone):  # no batch norm, so that batches can be split
        pass

    def recipe() -> Linear:
        torch.manual_seed(0)
        return Linear(_setup(nn.Sequential(nn.Flatten(), nn.Linear(192, 4))))

    one, four = recipe(), recipe()
    drain(train(one, tiny_data(), config(batch_size=8), tmp_path / "1", Control()))
    drain(train(four, tiny_data(), config(batch_size=2, gradient_accumulation=4), tmp_path / "4", Control()))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(four.state_dict()[name], value, rtol=1e-4, atol=1e-5)


def _setup(student: nn.Module) -> Any:
    return Setup(student, None, 4)


def test_events_tell_the_run(tmp_path: Path) -> None:
    events, outcome = drain(train(tiny_recipe(), tiny_data(), config(), tmp_path, Control()))
    assert events[0].kind == "resolved"
    assert events[0].data["config"]["cache_teacher"] is True
    assert all("auto" not in str(value) for key, value in events[0].data["config"].items() if key in _RESOLVED)
    metrics = [event.data for event in events if event.kind == "metrics"]
    trained = [data for data in metrics if data["split"] == "train"]
    validated = [data for data in metrics if data["split"] == "validation"]
    assert [data["step"] for data in trained] == list(range(1, 16))
    assert {"loss", "ce", "logit", "feature", "accuracy", "learning_rate"} == set(trained[0]["values"])
    assert [(data["epoch"], data["step"]) for data in validated] == [(0, 5), (1, 10), (2, 15)]
    progress = [event.data for event in events if event.kind == "progress"]
    assert progress[-1]["fraction"] == 1
    assert outcome.ending == "finished"
    assert outcome.validation == validated[-1]["values"]["accuracy"]
    json.dumps([event.data for event in events])


_RESOLVED = {"learning_rate", "device", "precision", "channels_last", "compile", "cache_teacher"}


def test_auto_is_resolved_with_reasons(tmp_path: Path) -> None:
    settings = config(learning_rate="auto", precision="auto", channels_last="auto", compile="auto", device="auto")
    events, _ = drain(train(tiny_recipe(), tiny_data(), settings, tmp_path, Control()))
    assert events[0].data["config"]["learning_rate"] == 7.5e-3
    assert {"learning_rate", "device", "student_mode", "teacher_mode", "cache_teacher"} <= set(
        events[0].data["reasons"]
    )


def test_stop_keeps_the_best_by_validation(tmp_path: Path) -> None:
    recipe, control = alone(), Control()
    iterator = train(recipe, tiny_data(), config(epochs=50, learning_rate=0.03), tmp_path, control)
    accuracies = []
    while True:
        try:
            event = next(iterator)
        except StopIteration as end:
            outcome = end.value
            break
        if event.kind == "metrics" and event.data["split"] == "validation":
            accuracies.append(event.data["values"]["accuracy"])
            control.stop = len(accuracies) == 4
    assert outcome.ending == "stopped"
    assert outcome.validation == max(accuracies)
    assert outcome.step < 50 * 5
    assert _accuracy(recipe) == pytest.approx(max(accuracies))


def _accuracy(recipe: Recipe) -> float:
    from distill.training.data import Order

    order = Order(64, torch.device("cpu"), shuffle=False, drop_last=False, teacher=False, augment=False)
    (batch,) = tiny_data().open_validation(order).epoch(0)
    return float((recipe.exported().eval()(batch.student).argmax(1) == batch.labels).float().mean())


def test_averaged_weights_are_what_is_exported(tmp_path: Path) -> None:
    recipe = alone()
    settings = config(ema_decay=0.9, epochs=6)
    _, outcome = drain(train(recipe, tiny_data(), settings, tmp_path, Control()))
    assert _accuracy(recipe) == pytest.approx(outcome.validation)


class Exploding(Alone):
    """Its loss leaves the finite range at the third batch of the training: steps that leave no trace do not count."""

    calls: Tensor
    factor = math.inf

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        parts = super().forward(student_input, labels, targets)
        self.calls += 1
        return parts | {"loss": parts["loss"] * (self.factor if self.calls >= 3 else 1.0)}


def test_a_loss_that_is_not_finite_ends_as_diverged(tmp_path: Path) -> None:
    recipe = Exploding(_setup(network(6, 3)))
    norms = {"student": {"block": 4.0}}
    with pytest.raises(Diverged) as caught:
        drain(train(recipe, tiny_data(), config(), tmp_path, Control(), norms=lambda batch: norms))
    details = caught.value.details
    assert details["step"] == 3
    assert details["layer_norms"] == norms
    assert [item["step"] for item in details["last_losses"]] == [1, 2, 3]
    assert "learning_rate" in caught.value.remedy
    json.dumps(caught.value.to_dict(), allow_nan=False)
    assert [path.name for path in tmp_path.glob("*.pt")] == ["checkpoint-000000000.pt"]


class Tied(nn.Module):
    """Two layers with one weight, as a language model's embedding and head, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(192, 192), nn.Linear(192, 192, bias=False)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(192)
        self.head = nn.Linear(192, 4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.second(self.norm(self.first(images.flatten(1))).relu()))
        return logits


def test_tied_weights_are_averaged_validated_and_stay_tied(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe, data = Alone(_setup(Tied())), tiny_data()
    events, outcome = drain(train(recipe, data, config(ema_decay=0.9), tmp_path, Control()))
    student = recipe.exported()
    assert student.first.weight is student.second.weight  # type: ignore[union-attr]
    said = [e.data["values"] for e in events if e.kind == "metrics" and e.data["split"] == "validation"]
    order = Order(8, torch.device("cpu"), shuffle=False, drop_last=False, teacher=False, augment=False)
    again = validate(student, data.open_validation(order), ClassAnswer(), Mode(), torch.device("cpu"))
    assert again == pytest.approx(said[-1], rel=1e-6)  # the exported weights are the averaged ones that were validated
    assert outcome.ending == "finished"


def test_an_exploding_loss_ends_as_diverged(tmp_path: Path) -> None:
    recipe = Exploding(_setup(network(6, 3)))
    recipe.factor = 1e6
    with pytest.raises(Diverged, match="rose from") as caught:
        drain(train(recipe, tiny_data(), config(), tmp_path, Control()))
    assert caught.value.code == "diverged"


def test_a_student_at_chance_ends_with_an_error_of_its_own(tmp_path: Path) -> None:
    settings = config(epochs=25, learning_rate=1e-12)
    with pytest.raises(AtChance, match="stayed at chance") as caught:
        drain(train(alone(), tiny_data(learnable=False), settings, tmp_path, Control()))
    assert (caught.value.code, caught.value.fault, caught.value.retryable) == ("at_chance", "user", False)
    for way_out in ("more epochs", "higher learning_rate", "teacher_layers", "recipe", "labels"):
        assert way_out in caught.value.remedy
    assert caught.value.details["last_losses"]


def test_a_short_run_is_not_judged(tmp_path: Path) -> None:
    _, outcome = drain(train(alone(), tiny_data(learnable=False), config(learning_rate=1e-12), tmp_path, Control()))
    assert outcome.ending == "finished"


def test_guard_forgives_a_single_spike() -> None:
    guard = Guard()
    assert [guard.check(step, loss) for step, loss in enumerate([2.0, 1.0, 500.0, 1.0])] == [None] * 4
    restored = Guard()
    restored.load(guard.state())
    assert restored.state() == guard.state()


def test_the_loop_reads_the_device_only_when_a_metric_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__"):
        original = getattr(Tensor, name)

        def counted(self: Tensor, *args: Any, _name: str = name, _original: Any = original) -> Any:
            reads.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(Tensor, name, counted)
    from distill.training import loop

    monkeypatch.setattr(loop, "METRICS_SHARE", 1.0)
    settings = config(epochs=1, batch_size=2, clip_norm=1.0, ema_decay=0.9, checkpoint_seconds=1e6)
    iterator = train(tiny_recipe(), tiny_data(), settings, tmp_path, Control())
    events = []
    for event in iterator:
        events.append(event.kind)
        if event.kind == "checkpoint" and len(events) < 5:
            reads.clear()  # before the first step
        if event.kind == "metrics":
            break
    # 20 steps, one reading; what is made of it lies on the host.
    assert reads == ["tolist", "__float__"], reads
