"""Boxes through the API: a teacher is trained by a job, then smaller students learn by recipe and seed.

    retort serve --data-dir study --port 8942 --slots 1
    python -m benchmarks.detection --archives bccd.zip cards.zip --results benchmarks/results

`bccd.zip`: the folders Annotations, ImageSets and JPEGImages of github.com/Shenggan/BCCD_Dataset (MIT). `cards.zip`:
train and test, without their CSV files, of the folder images of
github.com/EdjeElectronics/TensorFlow-Object-Detection-API-Tutorial-Train-Multiple-Objects-Windows-10 (Apache-2.0).

Every arm runs on every set at seed 0 before any runs at seed 1, and the tables are written anew after each job.
Finished jobs are found again by their labels and not repeated; a job that fails is named and leaves a gap. With
`--written` nothing is ordered: the tables of what has finished.
"""

from __future__ import annotations

import argparse
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arms import table
from benchmarks.detection.table import SHOWN, about
from benchmarks.jobs import Service, registered_archive

COMMON = {
    "augmentation": "crop_flip", "batch_size": 8, "device": "cpu", "compile": False, "precision": "fp32",
    "channels_last": False, "learning_rate": 2e-3,
}  # fmt: skip
TEACHER = {"name": "retort:fcos", "options": {"backbone": "resnet10t", "width": 64, "depth": 2}}
STUDENT = {"name": "retort:fcos", "options": {"backbone": "mobilenetv3_small_050", "width": 32, "depth": 1}}
PYRAMID = {"layers": 1, "teacher_layers": ["pyramid"], "student_layers": ["pyramid"]}
BASELINE, TAUGHT = "cross_entropy", "teacher"
ARMS: dict[str, dict[str, Any]] = {
    BASELINE: {"recipe": "cross_entropy"},
    "logit": {"recipe": "logit"},
    "feature_only": {"recipe": "feature_only", **PYRAMID},
    "blockwise_logit": {"recipe": "blockwise_logit", **PYRAMID},
    "feature_only, channel_wise": {
        "recipe": "feature_only", "recipe_parameters": {"feature_loss": "channel_wise"}, **PYRAMID,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A set of the study. `images`: what they show, in words; `image_size`: a side of the input, in pixels;
    `teacher_epochs`, `epochs`: of its teacher and its students."""

    title: str
    images: str
    image_size: int
    teacher_epochs: int
    epochs: int


SOURCES = {
    "bccd": Source("BCCD", "blood cells, 640 x 480", 160, 24, 16),
    "cards": Source("Playing cards", "playing cards, 378 x 504 and 960 x 540", 160, 40, 20),
}


@dataclass(frozen=True)
class Set:
    """A source in the service: `archive` is its file, `results` where its table goes (None: nowhere)."""

    source: Source
    archive: Path
    service: Service
    results: Path | None

    @functools.cached_property
    def data(self) -> str:
        """The dataset's id."""
        return registered_archive(self.service, self.archive)

    def config(self, seed: int, epochs: int) -> dict[str, Any]:
        return COMMON | {"image_size": self.source.image_size, "seed": seed, "epochs": epochs}

    @functools.cached_property
    def teacher(self) -> str:
        """The id of the teacher, made by a job on the labels."""
        config = self.config(0, self.source.teacher_epochs) | ARMS[BASELINE]
        job = self.service.job(TAUGHT, 0, {"dataset": self.data, "student": TEACHER, "config": config})
        self.service.succeeded(job)
        name = f"{self.archive.stem} {job}"
        found = self.service.named("teachers", name)
        if found is None:
            found = self.service.post("/teachers", json={"artifact": {"job_id": job}, "name": name})
        return self.service.ready(f"/teachers/{found['id']}")

    def run(self, arm: str, seed: int) -> None:
        """One job to its end. Its report compares it with labels alone at the same seed."""
        config = self.config(seed, self.source.epochs)
        plain = {"dataset": self.data, "student": STUDENT, "config": config | ARMS[BASELINE]}
        job = baseline = self.service.job(BASELINE, seed, plain)
        if arm != BASELINE:
            more = {"teacher": self.teacher, "compare_with": baseline, "config": config | ARMS[arm]}
            job = self.service.job(arm, seed, plain | more)
        found = self.service.until(f"/jobs/{job}")
        print(f"{self.source.title}, {arm}, seed {seed}: {found['status']} {found['error'] or ''}", flush=True)

    def write(self) -> str:
        """The table of what has finished, also into its file."""
        arms = self.service.by_arm(ARMS)
        if not arms:
            return f"{self.source.title}: no job has finished.\n"
        text = table(
            self.service, arms, BASELINE, self.source.title, SHOWN, functools.partial(about, self.source.images)
        )
        if self.results is not None:
            (self.results / f"detection-{self.archive.stem}.md").write_text(text)
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8942")
    parser.add_argument("--archives", type=Path, nargs="+", required=True, help=" or ".join(SOURCES) + ", as .zip")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="at most so many a job: to try whether every arm starts")
    parser.add_argument("--results", type=Path, help="folder of the tables")
    parser.add_argument("--written", action="store_true", help="order nothing, write what has finished")
    given = parser.parse_args()
    if given.steps is not None:
        COMMON["max_steps"] = given.steps
    sets = [made(given, archive) for archive in given.archives]
    if not given.written:
        for seed in range(given.seeds):
            for arm in given.arms:
                for each in sets:
                    each.run(arm, seed)
                    each.write()
    print("\n".join(each.write() for each in sets))


def made(given: argparse.Namespace, archive: Path) -> Set:
    source = SOURCES[archive.stem]
    study = f"{archive.stem}-{source.image_size}-{source.teacher_epochs}-{source.epochs}"
    return Set(
        source, archive, Service(given.url, study + (f"-{given.steps}-steps" if given.steps else "")), given.results
    )


if __name__ == "__main__":
    main()
