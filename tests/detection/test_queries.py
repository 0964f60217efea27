"""transformers' RT-DETR and D-FINE from their folders: their boxes, their own losses, their features as a teacher's."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import distill.torchvision_shim  # noqa: F401  (before torchvision, which transformers imports)
from distill import tasks
from distill.errors import InvalidConfig, InvalidTeacher
from distill.models import build, check, load, save
from distill.recorded_architecture import recorded_architecture
from distill.tasks.detect_objects.detections import detect
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.heads.refined_queries import RefinedQueryHead, union
from distill.tasks.detect_objects.rows import Objects
from distill.types import Architecture, DistillConfig, RunSpec, TeacherInput
from distill.vision_folder import DETECTOR_NAMES, header_of
from tests.detection.made_up import batch, coco_zip
from tests.detection.taught import learnt, read_back
from tests.tasks.house import go
from tests.tasks.tiny.detect_objects import STUDENT

pytest.importorskip("transformers")

_TRANSFORMER: dict[str, Any] = {
    "encoder_hidden_dim": 16, "d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_queries": 12,
    "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "freeze_backbone_batch_norms": False,
}  # fmt: skip
RT_DETR = Architecture(
    name="transformers:rt_detr",
    options=_TRANSFORMER | {
        "backbone_embedding_size": 8, "backbone_hidden_sizes": [8, 16, 16, 16], "backbone_depths": [1, 1, 1, 1],
        "backbone_layer_type": "basic",
    },
)  # fmt: skip
D_FINE = Architecture(
    name="transformers:d_fine",
    options=_TRANSFORMER | {
        "backbone_stem_channels": [3, 8, 8], "backbone_stage_in_channels": [8, 16, 16, 16],
        "backbone_stage_mid_channels": [8, 8, 8, 8], "backbone_stage_out_channels": [16, 16, 16, 16],
        "backbone_stage_num_blocks": [1, 1, 1, 1], "backbone_stage_numb_of_layers": [1, 1, 1, 1],
        "backbone_stage_light_block": [False, False, True, True], "depth_mult": 0.34, "max_num_bins": 16,
        "reg_scale": 8.0, "decoder_n_points": [3, 6, 3],
    },
)  # fmt: skip
BOTH = {each.name.partition(":")[2]: each for each in (RT_DETR, D_FINE)}
SIDE = 64


@pytest.fixture(params=BOTH)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return BOTH[request.param]


def made(architecture: Architecture, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build(architecture, 3)


def theirs(architecture: Architecture) -> Any:
    """As a user's own code has it."""
    module = import_module(f"transformers.models.{architecture.name.partition(':')[2]}")
    name = {"transformers:rt_detr": "RTDetr", "transformers:d_fine": "DFine"}[architecture.name]
    config = getattr(module, f"{name}Config").from_dict(made(architecture).config.to_dict())
    return getattr(module, f"{name}ForObjectDetection")(config)


def test_every_family_is_among_these() -> None:
    assert {each.name for each in BOTH.values()} == set(DETECTOR_NAMES)


def test_a_folder_is_read_and_its_boxes_are_transformers_own(architecture: Architecture, tmp_path: Path) -> None:
    """By its configuration; the weights under transformers' names, as its own code saves them."""

    torch.manual_seed(1)
    network = theirs(architecture).eval()
    network.save_pretrained(tmp_path)
    seen = {"size": {"height": 64, "width": 64}, "do_normalize": False}
    header = header_of(json.loads((tmp_path / "config.json").read_text()), seen)
    read = recorded_architecture(header)
    assert read is not None
    assert (read.name, tasks.accepting(read.name)) == (architecture.name, ("detect_objects",))
    assert {name: read.options[name] for name in architecture.options} == architecture.options
    path = tmp_path / "model.safetensors"
    save_file(load_file(path), tmp_path / "one.safetensors", metadata=header)
    report = check(read, tmp_path / "one.safetensors")
    assert report.num_classes == 3
    mine, images = load(read, tmp_path / "one.safetensors"), batch(2, SIDE)[0]
    with torch.no_grad():
        outputs, expected = mine(images), network(images)
    scored = head_of(mine).scored(outputs)
    torch.testing.assert_close(scored.scores, expected.logits.sigmoid())
    centres, sides = expected.pred_boxes[..., :2], expected.pred_boxes[..., 2:]
    corners = torch.cat([centres - sides / 2, centres + sides / 2], -1) * SIDE
    torch.testing.assert_close(scored.boxes[..., 0, :], corners, atol=1e-4, rtol=1e-4)
    assert len(detect(outputs[0], head_of(mine))) <= 36


@pytest.mark.parametrize(
    ("family", "field", "value"),
    [
        ("rt_detr", "learn_initial_query", True),
        ("rt_detr", "num_feature_levels", 4),
        ("rt_detr", "backbone_config", {"model_type": "resnet"}),
        ("d_fine", "eval_idx", 1),
        ("d_fine", "layer_scale", 2.0),
        ("d_fine", "backbone_config", {"model_type": "rt_detr_resnet"}),
    ],
)
def test_a_folder_that_would_be_another_network_is_refused(family: str, field: str, value: Any) -> None:
    """Not read as the one that its other fields describe."""
    plain = made(BOTH[family]).config.to_dict()
    assert header_of(plain, {})
    with pytest.raises(InvalidTeacher) as caught:
        header_of(plain | {field: value}, {})
    assert caught.value.details["field"] == ("backbone_model_type" if field == "backbone_config" else field)


def targets(labels: Tensor, i: int) -> list[dict[str, Tensor]]:
    objects = Objects.of(labels[i : i + 1])
    corners = objects.corners[0][objects.there[0]] / SIDE
    boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    return [{"class_labels": objects.classes[0][objects.there[0]], "boxes": boxes}]


def test_the_loss_of_rt_detr_is_transformers_own() -> None:
    """Of one image, as both have its divisor then, without denoising."""
    network = made(RT_DETR).eval()
    images, labels = batch(3, SIDE)
    head, plain = head_of(network), theirs(RT_DETR).eval()
    plain.load_state_dict(network.state_dict())
    for i in range(3):
        with torch.no_grad():
            expected = plain(images[i : i + 1], labels=targets(labels, i)).loss
            mine = head.loss(network(images[i : i + 1]), Objects.of(labels[i : i + 1]))
        assert float(mine) == pytest.approx(float(expected), rel=1e-4)


def rows_of_d_fine() -> Tensor:
    """(2, 25, 49): the encoder's choice, the start and three layers, of five queries each."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    distances = 4 * rand(2, 15, 36) - 2
    start = torch.cat([rand(2, 5, 2) * 0.8 + 0.1, rand(2, 5, 2) * 0.4 + 0.1], -1).repeat(1, 3, 1)
    beside = torch.cat([torch.zeros(2, 10, 40), torch.cat([distances, start], -1)], 1)
    classes, centres, sides = 4 * rand(2, 25, 3) - 2, rand(2, 25, 2) * 0.8 + 0.1, rand(2, 25, 2) * 0.4 + 0.05
    return torch.cat([beside, classes, centres, sides, torch.full((2, 25, 2), float(SIDE))], -1)


def test_the_loss_of_d_fine_is_the_authors() -> None:
    """The numbers are those of `DFINECriterion` of github.com/Peterande/D-FINE, commit 4a1f73a, on the same tensors,
    each image alone, without denoising queries."""
    from transformers.models.d_fine import DFineConfig

    head = RefinedQueryHead(DFineConfig(num_labels=3, num_queries=5, max_num_bins=8))
    rows, labels = rows_of_d_fine(), batch(2, SIDE)[1]
    found = [float(head.loss(rows[i : i + 1], Objects.of(labels[i : i + 1]))) for i in range(2)]
    assert found == pytest.approx([38.656768798828125, 41.43103790283203], rel=1e-5)
    assert float(head.loss(rows, Objects.of(labels))) == pytest.approx(sum(found) / 2, rel=1e-6)
    turned = rows.clone().requires_grad_()
    turned.data[..., -3] *= -1  # heights below zero, as a refinement may give them
    head.loss(turned, Objects.of(labels)).backward()  # type: ignore[no-untyped-call]
    assert turned.grad is not None
    assert bool(torch.isfinite(turned.grad).all())


def test_matches_of_several_layers_are_one_per_query_by_majority() -> None:
    layers = [([4, 1], [0, 1]), ([4, 2], [1, 0]), ([4, 1], [1, 0])]
    pairs = [(torch.tensor(queries), torch.tensor(objects)) for queries, objects in layers]
    queries, objects = union(pairs)
    assert (queries.tolist(), objects.tolist()) == ([1, 2, 4], [0, 0, 1])


def test_it_answers_alike_in_both_modes_learns_and_is_read_back(architecture: Architecture, tmp_path: Path) -> None:
    network = made(architecture).train()
    images, labels = batch(4, SIDE)
    head, nothing = head_of(network), Objects.of(torch.full((1, 1, 6), -1.0))
    assert network(images).shape == network.eval()(images).shape
    assert bool(torch.isfinite(head.loss(network(images[:1]), nothing)))
    seen = learnt(network.train(), architecture, images, labels, 20)
    assert seen[-1] < 0.9 * seen[0]
    read_back(network, architecture, images, tmp_path / "student.safetensors")


def test_they_teach_each_other_by_features_and_not_by_logits(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"device": "cpu", "precision": "fp32", "image_size": SIDE, "max_steps": 1, "layers": 1}
    config, dataset = DistillConfig(recipe="feature_only", **settings), coco_zip(tmp_path, 12, 3)
    for name, student in {"d_fine": RT_DETR, "rt_detr": D_FINE}.items():
        path = tmp_path / f"{name}.safetensors"
        save(made(BOTH[name]), path)
        teacher = TeacherInput(architecture=BOTH[name], weights=str(path), num_classes=3, digest="0" * 64)
        spec = RunSpec(config=config, student=student, dataset=dataset, teacher=teacher)
        events = go(spec, tmp_path / name)
        assert events[-1].kind == "done"
        told = {event.data["code"]: event.data for event in events if event.kind == "warning"}["untaught_parameters"]
        assert told["details"]["modules"] == ["model.encoder.downsample_convs", "model.encoder.pan_blocks"]
        resolved = next(event.data for event in events if event.kind == "resolved")
        assert resolved["reasons"]["untaught"] == told["message"]
        assert told in json.loads((tmp_path / name / "artifacts" / "report.json").read_text())["warnings"]
        for other in (STUDENT, RT_DETR, D_FINE):
            changes = {"config": config.model_copy(update={"recipe": "logit"}), "student": other}
            with pytest.raises(InvalidConfig) as caught:
                _ = tasks.get("detect_objects")(spec.model_copy(update=changes), tmp_path / "refused").student
            assert "feature_only" in caught.value.remedy
