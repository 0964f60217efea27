"""Of instructions only the answers cost an output layer and a place in the cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.errors import InvalidConfig
from distill.modalities.text.loader import KEPT, TextLoader, collate
from distill.modalities.text.packing import TokenPacking
from distill.modalities.text.tokens import IGNORED, TokenSamples
from distill.recipe_parts.networks import run_logits
from distill.tasks.generate_text.answer import TokenAnswer
from distill.training import cache
from tests.language import tiny
from tests.language.test_decoders import STUDENT, events_of, instructions, teacher
from tests.language.test_recipes import make
from tests.language.test_run import go, spec
from tests.recipes.nets import targets_of

LENGTHS, PROMPTS = [12, 9, 20, 11], [8, 3, 19, 1]


def samples() -> TokenSamples:
    lengths = torch.tensor(LENGTHS)
    ids = torch.randint(5, 5 + len(tiny.WORDS), (int(lengths.sum()),), generator=torch.Generator().manual_seed(0)).int()
    return TokenSamples(ids, lengths.cumsum(0) - lengths, lengths, None, torch.tensor(PROMPTS), lengths, 0.0)


def batch() -> tuple[dict[str, Tensor], Tensor]:
    return collate(samples(), torch.arange(4), 0, 64)


def test_the_mask_marks_what_predicts_an_answer() -> None:
    inputs, labels = batch()
    for row, (length, prompt) in enumerate(zip(LENGTHS, PROMPTS, strict=True)):
        assert inputs[KEPT][row].nonzero().flatten().tolist() == list(range(prompt - 1, length - 1))
        assert (labels[row] != IGNORED).nonzero().flatten().tolist() == list(range(prompt, length))
    assert int(inputs[KEPT].sum()) == int((labels[:, 1:] != IGNORED).sum())


@pytest.mark.parametrize("family", tiny.DECODERS)
@torch.no_grad()
def test_the_answers_logits_are_those_of_the_whole(family: str) -> None:
    network = tiny.network(family, "generate")
    inputs, labels = batch()
    whole = run_logits(network, {key: value for key, value in inputs.items() if key != KEPT})
    some = run_logits(network, inputs)
    assert whole.dim() == 3
    assert some.shape == (int(inputs[KEPT].sum()), tiny.VOCABULARY)
    answer = TokenAnswer()
    expected = answer.compare(whole, labels, {"logits": -whole})
    found = answer.compare(some, labels, {"logits": -some})
    torch.testing.assert_close(found.outputs, expected.outputs)
    assert torch.equal(found.labels, expected.labels)
    torch.testing.assert_close(found.targets["logits"], expected.targets["logits"])


@pytest.mark.parametrize("name", tiny.OFFERED["generate"])
def test_recipes_see_no_difference(name: str) -> None:
    recipe = make(name, "llama", "generate")
    inputs, labels = batch()
    plain = {key: value for key, value in inputs.items() if key != KEPT}
    some, whole = (_seeded(recipe, given, labels) for given in (inputs, plain))
    for key, value in whole.items():
        torch.testing.assert_close(some[key], value, rtol=1e-4, atol=1e-5)


def _seeded(recipe: Any, given: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    parts: dict[str, Tensor] = recipe(given, labels, targets_of(recipe, given))
    return parts


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_the_cache_keeps_the_answers_only(place: str, tmp_path: Path) -> None:
    """Filled in order, asked in another: features of the answers' tokens and their logits, at the answers' cost."""
    given = samples()
    recipe = make("feature_logit", "llama", "generate")
    packing = TokenPacking(given.lengths, given.begins)
    store = cache.Cache(place, torch.arange(4), tmp_path / "c", torch.device("cpu"), packing)
    order = dict.fromkeys(("batch_size", "pad", "max_length"), 2) | {"pad": 0, "max_length": 64, "shuffle": False}
    for one in TextLoader(given, [0, 1, 2, 3], drop_last=False, **order).epoch(0):  # type: ignore[arg-type]
        store.put(one, recipe.targets(one.student))
    answers = sum(LENGTHS) - sum(PROMPTS)
    assert store._tensors["logits"].shape == (answers, tiny.VOCABULARY)
    assert store._tensors["feature_0"].shape == (answers + 4, 32)
    (asked,) = TextLoader(given, [3, 0, 2], 3, 0, 64, shuffle=False).epoch(0)
    live, found = recipe.targets(asked.student), store.get(asked)
    torch.testing.assert_close(found["logits"], live["logits"])
    mask = asked.labels != IGNORED
    assert found["feature_0"].dtype == torch.bfloat16
    torch.testing.assert_close(found["feature_0"][mask].float(), live["feature_0"][mask], rtol=1e-2, atol=1e-2)
    parts = [recipe(asked.student, asked.labels, targets)["loss"] for targets in (live, found)]
    torch.testing.assert_close(parts[0], parts[1], rtol=1e-2, atol=1e-3)
    per_sample = cache.bytes_per_sample(live, packing)
    stored = sum(t.numel() * t.element_size() for t in store._tensors.values())
    assert 4 * (per_sample - len(live)) <= stored <= 4 * per_sample
    store.close()


def test_an_output_layer_of_tokens_is_not_fitted_anew(tmp_path: Path) -> None:
    """Though it gives one row a token, as a classifier gives one row a sample: `auto` says so, `true` is refused."""
    data, given = instructions(tmp_path), teacher("llama", tmp_path)
    changes = {"recipe": "cross_entropy", "epochs": 1}
    go(spec(data, given, STUDENT, **changes, fit_head="auto"), tmp_path / "run")
    report = json.loads((tmp_path / "run" / "artifacts" / "report.json").read_text())
    assert "fit_head" not in report["configuration"]  # no setting of this task
    assert "tokens" in report["reasons"]["fit_head"]
    assert report["training"]["head"] is None
    with pytest.raises(InvalidConfig):
        go(spec(data, given, STUDENT, **changes, fit_head=True), tmp_path / "refused")


RUNS = ["feature_logit", "logit", "semckd", "feature_only"]


@pytest.mark.parametrize("recipe", tiny.mostly_slow(RUNS, "feature_logit"))
def test_cached_and_live_targets_train_alike(recipe: str, tmp_path: Path) -> None:
    """Features are cached in bf16, so equal within its rounding."""
    data, given = instructions(tmp_path, labelled=True), teacher("llama", tmp_path)
    losses: dict[bool, list[float]] = {}
    for cached in (False, True):
        changes: dict[str, Any] = {"recipe": recipe, "epochs": 2, "cache_teacher": cached, "layers": 1}
        events = go(spec(data, given, STUDENT, **changes), tmp_path / str(cached))
        found = [data["values"]["loss"] for data in events_of("metrics", events) if data["split"] == "train"]
        losses[cached] = found
    assert losses[True] == pytest.approx(losses[False], rel=2e-2)
