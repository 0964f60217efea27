"""Fit the classifiers of a study's finished students: what `fit_head` is worth, on the very same backbones.

    python -m benchmarks.study.refit out/fashion-resnet/wide --dataset fashion-mnist

Prints test accuracy before and after by recipe and layers, mean and deviation over seeds. Changes no file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from distill.evaluate import predictions
from distill.running.session import open_task
from distill.training.data import Order
from distill.training.head import fit_head, most_samples
from distill.training.mode import Mode
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec

CPU = torch.device("cpu")


def refit(cell: Path, dataset: DatasetInput) -> tuple[float, float]:
    """Test accuracy of a cell's student before and after."""
    report = json.loads((cell / "artifacts" / "report.json").read_text())
    given = {key: value for key, value in report["configuration"].items() if key in DistillConfig.model_fields}
    alone = {"recipe": "cross_entropy", "recipe_parameters": {}, "teacher_layers": None, "student_layers": None}
    spec = RunSpec(
        config=DistillConfig(**(given | alone)), dataset=dataset,
        student=Architecture(**report["student"]["architecture"]),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        task = open_task(spec, Path(scratch))
        network, data = task.student.module, task.train_data()
        network.load_state_dict(load_file(cell / "artifacts" / "student.safetensors"))
        test = task.test_source(task.student)
        before = predictions(network, test, CPU)
        assert abs(float(before.correct.float().mean()) - report["student"]["accuracy"]["value"]) < 1e-3, cell
        order = Order(spec.config.batch_size, CPU, shuffle=True, drop_last=False, teacher=False, augment=False)
        seen = report["training"]["steps"] * spec.config.batch_size
        fit_head(network, data.open_train(order), data.open_validation(order), Mode(),
                 lambda head: most_samples(data.size, seen, head))  # fmt: skip
        after = predictions(network, test, CPU)
    return float(before.correct.float().mean()), float(after.correct.float().mean())


def _table(found: dict[str, list[tuple[float, float]]]) -> list[str]:
    lines = ["| recipe, layers | seeds | trained, % | fitted, % | gain |", "|---|---|---|---|---|"]
    for name, pairs in sorted(found.items(), key=lambda item: -statistics.mean(after for _, after in item[1])):
        columns = [[b for b, _ in pairs], [a for _, a in pairs], [a - b for b, a in pairs]]
        cells = [f"{100 * statistics.mean(c):.1f} ± {100 * _deviation(c):.1f}" for c in columns]
        lines.append(f"| {name} | {len(pairs)} | {cells[0]} | {cells[1]} | {cells[2]} |")
    return lines


def _deviation(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--dataset", action="append", required=True, help="a name, or ROLE=FILE (parquet), as often as needed"
    )
    parser.add_argument("--only", default="", help="cells whose name holds one of these, comma-separated")
    arguments = parser.parse_args()
    roles: dict[str, Any] = dict(item.split("=", 1) for item in arguments.dataset if "=" in item)
    name = arguments.dataset[0]
    dataset = (
        DatasetInput(kind="parquet", name="parquet", files=roles) if roles else DatasetInput(kind="named", name=name)
    )
    wanted = arguments.only.split(",")
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for weights in sorted(arguments.folder.glob("cells/*/artifacts/student.safetensors")):
        cell = weights.parents[1]
        seed, _, rest = cell.name.partition("-")
        label = rest.rpartition("-")[0]
        if any(part in label for part in wanted):
            found[label].append(refit(cell, dataset))
            print(seed, label, *(f"{100 * value:.2f}" for value in found[label][-1]), flush=True)
    print("\n".join(_table(found)))


if __name__ == "__main__":
    main()
