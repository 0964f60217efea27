"""Learning rates by depth and by what was taken: as timm groups its networks, and BEiT's rule for language models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from distill.errors import InvalidConfig
from distill.language_families import FAMILIES
from distill.models.depth import distances
from distill.training.groups import groups
from tests.language.tiny import network as language
from tests.run.conftest import config, go, spec

DECAY = 0.5


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet", "test_efficientnet"])
def test_timms_networks_are_grouped_as_timm_groups_them(name: str) -> None:
    network = timm.create_model(name, num_classes=3)
    theirs = {
        id(parameter): group["lr_scale"]
        for group in param_groups_layer_decay(network, layer_decay=DECAY)
        for parameter in group["params"]
    }
    ours = groups(network, network, frozenset(), 1.0, DECAY)
    assert {id(p): group["scale"] for group in ours for p in group["params"]} == pytest.approx(theirs)
    assert len(ours) > 3


@pytest.mark.parametrize("family", FAMILIES)
def test_language_models_fall_from_head_to_embeddings(family: str) -> None:
    network: Any = language(family)
    count, found = network.config.num_hidden_layers, distances(network)
    assert set(found.values()) == set(range(count + 2))
    embeddings = {id(p) for m in network.modules() if isinstance(m, nn.Embedding) for p in m.parameters(recurse=False)}
    for name, parameter in network.named_parameters():
        inside = found[name] in range(1, count + 1)
        if id(parameter) in embeddings and not inside:
            assert found[name] == count + 1
        if name.startswith(("classifier", "score")):
            assert found[name] == 0


def test_what_was_taken_has_both_factors_and_what_is_beside_the_student_neither() -> None:
    network, beside = timm.create_model("test_vit", num_classes=3), nn.Linear(2, 2)
    trained = nn.ModuleList([network, beside])
    found = groups(trained, network, frozenset(["cls_token", "blocks.0.norm1.weight"]), 0.3, DECAY)
    scale = {id(p): group["scale"] for group in found for p in group["params"]}
    depth = distances(network)
    assert scale[id(network.cls_token)] == pytest.approx(0.3 * DECAY ** depth["cls_token"])
    assert scale[id(network.patch_embed.proj.bias)] == pytest.approx(DECAY ** depth["patch_embed.proj.bias"])
    assert scale[id(beside.weight)] == scale[id(network.head.weight)] == found[0]["scale"] == 1
    assert sum(len(group["params"]) for group in found) == len(list(trained.parameters()))


def test_without_decay_there_are_two_groups() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    found = groups(network, network, frozenset(["0.weight", "0.bias"]), 0.3, 1.0)
    assert [group["scale"] for group in found] == [1.0, 0.3]


def test_a_network_without_an_order_of_blocks_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as error:
        go(spec(recipe="cross_entropy", layer_decay=0.7), tmp_path)
    assert error.value.details["field"] == "layer_decay"


def test_a_run_says_what_its_rates_are(tmp_path: Path) -> None:
    given = {"recipe": "cross_entropy", "layer_decay": 0.7, "drop_path": 0.2, "learning_rate": 1e-3, "max_steps": 2}
    vit = spec(student={"name": "timm:test_vit", "options": {"img_size": 32}}, image_size=32, fit_head=False, **given)
    events = go(vit, tmp_path)
    found = next(event.data for event in events if event.kind == "resolved")
    assert (found["config"]["layer_decay"], found["config"]["drop_path"]) == (0.7, pytest.approx(0.2))
    deepest = max(distances(timm.create_model("test_vit")).values())
    assert f"{1e-3 * 0.7**deepest:.3g}" in found["reasons"]["layer_decay"]
    assert config().layer_decay == 1
    rates = [
        event.data["values"]["learning_rate"]
        for event in events
        if event.kind == "metrics" and event.data["split"] == "train"
    ]
    assert max(rates) <= 1e-3
    assert torch.isfinite(torch.tensor(rates)).all()
