"""Blood cells through the API: a teacher is trained by a job, then smaller students learn by recipe and seed.

    retort serve --data-dir study --port 8941 --slots 1
    python -m benchmarks.detection.bccd --archive bccd.zip --markdown benchmarks/results/detection-bccd.md

The archive: the folders Annotations, ImageSets and JPEGImages of github.com/Shenggan/BCCD_Dataset (MIT). Finished jobs
are found again by their labels and not repeated; every arm runs at seed 0 before any runs at seed 1. With `--written`
nothing is ordered: the table of what has finished.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.arms import table
from benchmarks.detection.table import SHOWN, about
from benchmarks.jobs import Service, registered_archive

COMMON = {
    "augmentation": "crop_flip", "image_size": 160, "batch_size": 8, "device": "cpu", "compile": False,
    "precision": "fp32", "channels_last": False, "learning_rate": 2e-3,
}  # fmt: skip
TEACHER = {"name": "retort:fcos", "options": {"backbone": "resnet10t", "width": 64, "depth": 2}}
STUDENT = {"name": "retort:fcos", "options": {"backbone": "mobilenetv3_small_050", "width": 32, "depth": 1}}
PYRAMID = {"layers": 1, "teacher_layers": ["pyramid"], "student_layers": ["pyramid"]}
BASELINE, TAUGHT = "cross_entropy", "teacher"
ARMS: dict[str, dict[str, Any]] = {
    BASELINE: {"recipe": "cross_entropy"},
    "feature_only": {"recipe": "feature_only", **PYRAMID},
    "logit": {"recipe": "logit"},
    "feature_only, channel_wise": {
        "recipe": "feature_only", "recipe_parameters": {"feature_loss": "channel_wise"}, **PYRAMID,
    },
    "feature_logit, pearson": {
        "recipe": "feature_logit", "recipe_parameters": {"feature_loss": "pearson"}, **PYRAMID,
    },
    "blockwise_logit": {"recipe": "blockwise_logit", **PYRAMID},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8941")
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--teacher-epochs", type=int, default=16)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--written", action="store_true", help="order nothing, write what has finished")
    given = parser.parse_args()
    service = Service(given.url, f"bccd-{given.teacher_epochs}-{given.epochs}-epochs")
    arms = service.by_arm(ARMS) if given.written else study(given, service)
    text = table(service, arms, BASELINE, "BCCD", SHOWN, about)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)


def study(given: argparse.Namespace, service: Service) -> dict[str, dict[int, Any]]:
    """The finished jobs by arm and seed. Each arm's report compares it with labels alone at the same seed."""
    data = registered_archive(service, given.archive)
    teacher = taught(given, service, data)
    ordered: dict[str, dict[int, str]] = {arm: {} for arm in given.arms}
    for seed in range(given.seeds):
        config = COMMON | {"epochs": given.epochs, "seed": seed}
        plain = {"dataset": data, "student": STUDENT, "config": config | ARMS[BASELINE]}
        baseline = service.job(BASELINE, seed, plain)
        service.succeeded(baseline)
        for arm in ordered:
            more = {"teacher": teacher, "compare_with": baseline, "config": config | ARMS[arm]}
            ordered[arm][seed] = baseline if arm == BASELINE else service.job(arm, seed, plain | more)
            service.succeeded(ordered[arm][seed])
    return {arm: {seed: service.succeeded(job) for seed, job in jobs.items()} for arm, jobs in ordered.items()}


def taught(given: argparse.Namespace, service: Service, data: str) -> str:
    """The id of the teacher, made by a job on the labels."""
    config = COMMON | {"epochs": given.teacher_epochs, "seed": 0, "recipe": "cross_entropy"}
    job = service.job(TAUGHT, 0, {"dataset": data, "student": TEACHER, "config": config})
    service.succeeded(job)
    found = service.named("teachers", f"bccd {job}")
    if found is None:
        found = service.post("/teachers", json={"artifact": {"job_id": job}, "name": f"bccd {job}"})
    return service.ready(f"/teachers/{found['id']}")


if __name__ == "__main__":
    main()
