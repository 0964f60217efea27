"""Language models under bf16 autocast: every recipe and family, whole runs, caches; weights and losses stay fp32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from distill.errors import InvalidConfig
from distill.language_families import FAMILIES
from distill.recipe_parts.networks import run_logits
from distill.running.session import open_task
from distill.types import Architecture
from tests.language import tiny
from tests.language.test_decoders import STUDENT, events_of, instructions, teacher
from tests.language.test_recipes import labels_of, make
from tests.language.test_run import given, go, spec, texts
from tests.recipes.soon import soon

TASKS = [*((family, "classify") for family in tiny.ENCODERS), *((family, "generate") for family in tiny.DECODERS)]
SOME = [pair for pair in TASKS if pair[0] in ("bert", "modernbert", "opt", "llama")]
RUNS = ["feature_logit", "blockwise_logit", "feature_only"]


def autocast() -> Any:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def step(recipe: Any, task: str, padding: int = 0) -> dict[str, Tensor]:
    """As the loop does: the teacher's targets widened, the backward pass outside."""
    inputs = tiny.batch(padding)
    with autocast():
        targets = {name: value.float() for name, value in recipe.targets(inputs).items()}
        targets = recipe.told(targets, torch.arange(len(inputs["input_ids"])))
        torch.manual_seed(7)
        parts: dict[str, Tensor] = recipe(inputs, labels_of(task, inputs), targets)
    return parts


@pytest.mark.parametrize(("family", "task"), [pair for pair in TASKS if FAMILIES[pair[0]].autocast])
def test_logits_are_near_those_of_fp32(family: str, task: str) -> None:
    network = tiny.network(family, task)
    inputs = tiny.batch()
    with torch.no_grad():
        plain = run_logits(network, inputs)
        with autocast():
            narrow = run_logits(network, inputs)
    seen = inputs["attention_mask"].bool() if task == "generate" else slice(None)
    gap = (narrow.float() - plain)[seen].norm() / plain[seen].norm()
    assert narrow.dtype == torch.bfloat16
    assert 0 < gap < 0.05


def test_deberta_is_trained_in_fp32(tmp_path: Path) -> None:
    """Should this fail, transformers has mended it: the family's `autocast` can go."""
    with pytest.raises(RuntimeError, match="overflow"), autocast():
        run_logits(tiny.network("deberta"), tiny.batch())
    base = tiny.save(tiny.network("deberta"), tmp_path / "teacher")
    small = Architecture(name="transformers:auto", options={"layers": 1, "width": 8})
    data, teacher = texts(tmp_path), given(base, 3)
    assert open_task(spec(data, teacher, small, precision="auto"), tmp_path / "auto").config.precision == "fp32"
    for half in ("bf16", "fp16"):
        with pytest.raises(InvalidConfig) as caught:
            open_task(spec(data, teacher, small, precision=half), tmp_path / half)
        assert caught.value.details == {"field": "precision", "value": half}


@pytest.mark.parametrize(
    ("name", "family", "task"),
    [soon(name, *pair, now=pair[0] == "llama") for pair in SOME for name in tiny.OFFERED[pair[1]]],
)
def test_every_recipe_trains_and_padding_changes_little(name: str, family: str, task: str) -> None:
    recipe = make(name, family, task)
    parts = step(recipe, task)
    assert parts["loss"].dtype == torch.float32
    parts["loss"].backward()
    grads = [p.grad for p in recipe.parameters() if p.grad is not None]
    assert grads
    assert all(grad.dtype == torch.float32 and bool(grad.isfinite().all()) for grad in grads)
    padded = step(recipe, task, padding=6)["loss"]
    torch.testing.assert_close(padded, parts["loss"], rtol=5e-2, atol=1e-2)


@pytest.mark.parametrize("recipe", tiny.mostly_slow(RUNS, "feature_logit"))
@pytest.mark.parametrize("cached", [True, False])
def test_a_decoder_is_distilled_in_bf16(recipe: str, cached: bool, tmp_path: Path) -> None:
    """Beside fp32: nearly the same losses, weights written in fp32, precision in the report."""
    data, taught = instructions(tmp_path, labelled=True), teacher("llama", tmp_path)
    losses: dict[str, list[float]] = {}
    for precision in ("fp32", "bf16"):
        changes: dict[str, Any] = {"recipe": recipe, "epochs": 2, "precision": precision, "cache_teacher": cached}
        events = go(spec(data, taught, STUDENT, **changes, layers=1), tmp_path / precision)
        losses[precision] = [m["values"]["loss"] for m in events_of("metrics", events) if m["split"] == "train"]
        assert events[-1].kind == "done"
        report = json.loads((tmp_path / precision / "artifacts" / "report.json").read_text())
        assert report["configuration"]["precision"] == precision
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)
    assert losses["bf16"] != losses["fp32"]
    weights = _weights(tmp_path / "bf16" / "artifacts" / "student.zip", tmp_path)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_classifier_is_fine_tuned_in_bf16(tmp_path: Path) -> None:
    base = tiny.save(tiny.network("bert").bert, tmp_path / "base")
    changes = {"recipe": "cross_entropy", "epochs": 12, "precision": "bf16"}
    same = Architecture(name="transformers:auto")
    events = go(spec(texts(tmp_path), given(base, 0), same, **changes), tmp_path / "run")
    result = next(event.data for event in events if event.kind == "result")
    assert result["student"]["accuracy"]["value"] > 0.9


def _weights(path: Path, scratch: Path) -> dict[str, Tensor]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        archive.extract("model.safetensors", scratch)
    return load_file(scratch / "model.safetensors")
