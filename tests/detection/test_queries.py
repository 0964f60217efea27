"""transformers' RT-DETR from its folder: its boxes, its own loss, its features as a teacher's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import distill.torchvision_shim  # noqa: F401  (before torchvision, which transformers imports)
from distill import tasks
from distill.errors import InvalidConfig
from distill.models import build, check, load, save
from distill.recorded_architecture import recorded_architecture
from distill.tasks.detect_objects.detections import detect
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.rows import Objects
from distill.types import Architecture, DistillConfig, RunSpec, TeacherInput
from distill.vision_folder import header_of
from tests.detection.made_up import batch, coco_zip
from tests.detection.taught import learnt, read_back
from tests.tasks.house import go
from tests.tasks.tiny.detect_objects import STUDENT

pytest.importorskip("transformers")

OPTIONS: dict[str, Any] = {
    "backbone_embedding_size": 8, "backbone_hidden_sizes": [8, 16, 16, 16], "backbone_depths": [1, 1, 1, 1],
    "backbone_layer_type": "basic", "encoder_hidden_dim": 16, "d_model": 16, "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16, "num_queries": 12, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "freeze_backbone_batch_norms": False,
}  # fmt: skip
RT_DETR = Architecture(name="transformers:rt_detr", options=OPTIONS)
SIDE = 64


def made(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build(RT_DETR, 3)


def theirs() -> Any:
    """As a user's own code has it."""
    from transformers.models.rt_detr import RTDetrConfig, RTDetrForObjectDetection

    return RTDetrForObjectDetection(RTDetrConfig.from_dict(made().config.to_dict()))


def test_a_folder_is_read_and_its_boxes_are_transformers_own(tmp_path: Path) -> None:
    """By its configuration; the weights under transformers' names, as its own code saves them."""

    torch.manual_seed(1)
    network = theirs().eval()
    network.save_pretrained(tmp_path)
    seen = {"size": {"height": 64, "width": 64}, "do_normalize": False}
    header = header_of(json.loads((tmp_path / "config.json").read_text()), seen)
    architecture = recorded_architecture(header)
    assert architecture is not None
    assert (architecture.name, tasks.accepting(architecture.name)) == (RT_DETR.name, ("detect_objects",))
    assert {name: architecture.options[name] for name in OPTIONS} == OPTIONS
    path = tmp_path / "model.safetensors"
    save_file(load_file(path), tmp_path / "one.safetensors", metadata=header)
    report = check(architecture, tmp_path / "one.safetensors")
    assert report.num_classes == 3
    mine, images = load(architecture, tmp_path / "one.safetensors"), batch(2, SIDE)[0]
    with torch.no_grad():
        outputs, expected = mine(images), network(images)
    scored = head_of(mine).scored(outputs)
    torch.testing.assert_close(scored.scores, expected.logits.sigmoid())
    centres, sides = expected.pred_boxes[..., :2], expected.pred_boxes[..., 2:]
    corners = torch.cat([centres - sides / 2, centres + sides / 2], -1) * SIDE
    torch.testing.assert_close(scored.boxes[..., 0, :], corners, atol=1e-4, rtol=1e-4)
    assert len(detect(outputs[0], head_of(mine))) <= 36


def test_its_loss_is_transformers_own() -> None:
    """Of one image, as both have its divisor then, without denoising."""
    network = made().eval()
    images, labels = batch(3, SIDE)
    head, plain = head_of(network), theirs().eval()
    plain.load_state_dict(network.state_dict())
    for i in range(3):
        objects = Objects.of(labels[i : i + 1])
        corners = objects.corners[0][objects.there[0]] / SIDE
        boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
        target = [{"class_labels": objects.classes[0][objects.there[0]], "boxes": boxes}]
        with torch.no_grad():
            expected = plain(images[i : i + 1], labels=target).loss
            mine = head.loss(network(images[i : i + 1]), objects)
        assert float(mine) == pytest.approx(float(expected), rel=1e-4)
    nothing = Objects.of(torch.full((1, 1, 6), -1.0))
    assert bool(torch.isfinite(head.loss(network(images[:1]), nothing)))


def test_it_learns_and_is_read_back(tmp_path: Path) -> None:
    network = made().train()
    images, labels = batch(4, SIDE)
    seen = learnt(network, RT_DETR, images, labels, 20)
    assert seen[-1] < 0.9 * seen[0]
    read_back(network, RT_DETR, images, tmp_path / "student.safetensors")


def test_it_teaches_by_its_features_and_not_by_its_logits(tmp_path: Path) -> None:
    path = tmp_path / "teacher.safetensors"
    save(made(), path)
    teacher = TeacherInput(architecture=RT_DETR, weights=str(path), num_classes=3, digest="0" * 64)
    settings: dict[str, Any] = {"device": "cpu", "precision": "fp32", "image_size": SIDE, "max_steps": 1, "layers": 1}
    config = DistillConfig(recipe="feature_only", student_layers=["pyramid"], **settings)
    spec = RunSpec(config=config, student=STUDENT, dataset=coco_zip(tmp_path, 12, 3), teacher=teacher)
    assert go(spec, tmp_path / "run")[-1].kind == "done"
    alike = {"student": RT_DETR, "config": config.model_copy(update={"student_layers": None})}
    events = go(spec.model_copy(update=alike), tmp_path / "alike")
    told = {event.data["code"]: event.data for event in events if event.kind == "warning"}["untaught_parameters"]
    assert told["details"]["modules"] == ["model.encoder.downsample_convs", "model.encoder.pan_blocks"]
    resolved = next(event.data for event in events if event.kind == "resolved")
    assert resolved["reasons"]["untaught"] == told["message"]
    assert told in json.loads((tmp_path / "alike" / "artifacts" / "report.json").read_text())["warnings"]
    for student in (STUDENT, RT_DETR):
        changes = {"config": config.model_copy(update={"recipe": "logit"}), "student": student}
        with pytest.raises(InvalidConfig) as caught:
            _ = tasks.get("detect_objects")(spec.model_copy(update=changes), tmp_path / "refused").student
        assert "feature_only" in caught.value.remedy
