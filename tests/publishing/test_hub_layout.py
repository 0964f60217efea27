"""What is laid out for the hub is read by the hub's libraries."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from publishing.bundle import Bundle, BundleFile
from publishing.hub_layout import lay_out
from tests.publishing.world import DESCRIBED


def bundle(folder: Path, task: str, student: dict[str, Any]) -> Bundle:
    """Of the files in `folder`."""
    found = [
        BundleFile(
            name=path.name, media_type="x", size_bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.iterdir())
    ]  # fmt: skip
    return Bundle(
        folder=folder, publication="job_p", job="job_j", name="", recipe="logit", task=task, config={}, student=student,
        result={}, started_at=datetime.now(UTC), finished_at=datetime.now(UTC), files=found,
    )  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "README.md").write_text("# a student\n")
    return folder


def test_timm_reads_a_student_with_its_options_and_its_view(files: Path, tmp_path: Path) -> None:
    import distill.models  # noqa: F401 - lets timm import torchvision of another build than torch's

    timm, torch = pytest.importorskip("timm"), pytest.importorskip("torch")
    from safetensors.torch import save_file

    options = {"channels": [8, 8, 16, 16], "stem_width": 8}
    made = timm.create_model("resnet10t", num_classes=2, in_chans=1, **options).eval()
    save_file(made.state_dict(), files / "student.safetensors")
    architecture = {"name": "timm:resnet10t", "options": options}
    (files / "student.json").write_text(json.dumps(DESCRIBED | {"architecture": architecture}))
    folder = lay_out(bundle(files, "classify_images", architecture), "me/birds", tmp_path / "hub")
    read = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    image = torch.randn(2, 1, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(read(image), made(image))
    how = timm.data.resolve_model_data_config(read)
    assert (tuple(how["input_size"]), list(how["mean"]), list(how["std"])) == ((1, 32, 32), [0.5], [0.25])
    assert (how["interpolation"], how["crop_pct"]) == ("bilinear", 0.9)


def test_transformers_reads_an_unpacked_student(files: Path, tmp_path: Path) -> None:
    import distill.models  # noqa: F401

    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    small = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "vocab_size": 9,
    }
    made = transformers.BertForSequenceClassification(transformers.BertConfig(**small)).eval()
    made.save_pretrained(tmp_path / "saved")
    with zipfile.ZipFile(files / "student.zip", "w") as packed:
        for path in (tmp_path / "saved").iterdir():
            packed.write(path, path.name)
    folder = lay_out(bundle(files, "classify_text", {"name": "transformers:bert"}), "me/texts", tmp_path / "hub")
    assert not (folder / "student.zip").exists()
    read = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        torch.testing.assert_close(read(ids).logits, made(ids).logits)
    assert 'pipeline_tag: "text-classification"' in (folder / "README.md").read_text()


def test_any_other_student_goes_as_it_is(files: Path, tmp_path: Path) -> None:
    (files / "student.safetensors").write_bytes(b"weights")
    (files / "student.json").write_text(json.dumps(DESCRIBED | {"architecture": {"name": "retort:resnet8"}}))
    folder = lay_out(bundle(files, "classify_images", {"name": "retort:resnet8"}), "me/birds", tmp_path / "hub")
    assert {path.name for path in folder.iterdir()} == {"README.md", "student.json", "student.safetensors"}
    assert "library_name" not in (folder / "README.md").read_text()
