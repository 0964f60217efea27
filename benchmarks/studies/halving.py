"""`python -m benchmarks.studies.halving record FILE` and `... replay FILE [--write TABLE]`: whether halving finds what
a grid finds, for less.

`record` trains the 24 configurations of a grid on Fashion-MNIST once, to their end, and keeps every validation with
the seconds that it took to come to it; what FILE has already is not trained again. `replay` runs searches over these
curves, as a study with one trial at a time would have run, and says what each found, and which share of the grid's
time it took.
The curves also say how well the size of a student foretells its worth.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distill.control import Control
from distill.run import run
from distill.search import strategies
from distill.search.plan import Plan, Tried
from distill.search.rank import spearman
from distill.search.space import Domain, Space
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec

STUDENTS = (
    ("resnet8", 4), ("resnet8", 8), ("resnet14", 4), ("resnet14", 6), ("resnet20", 4), ("resnet9", 4),
    ("vgg11_small", 4), ("mobilenet_v2_small", 8),
)  # fmt: skip
RATES = (0.0005, 0.003, 0.015)
EPOCHS, SEED, SEARCH_SEEDS = 27, 0, range(5)
CONFIG: dict[str, Any] = {
    "recipe": "cross_entropy", "epochs": EPOCHS, "batch_size": 32, "train_limit": 1600, "validation_fraction": 0.5,
    "test_limit": 200, "fit_head": False, "seed": SEED,
}  # fmt: skip
STUDENT, RATE = "/student", "/config/learning_rate"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["record", "replay"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--write", type=Path, help="append the tables to this file")
    parser.add_argument("--seed", type=int, default=SEED, help="record: of the trainings and of their split")
    given = parser.parse_args()
    if given.what == "record":
        record(given.file, given.seed)
        return
    told = "\n".join(tables(json.loads(given.file.read_text())))
    print(told)
    if given.write:
        with given.write.open("a") as file:
            file.write(told + "\n")


# ---- recording


def record(file: Path, seed: int) -> None:
    """Train what is missing; the file is whole after each."""
    config = CONFIG | {"seed": seed}
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"config": config, "runs": {}}
    for (name, width), rate in product(STUDENTS, RATES):
        key = f"{name} {width} {rate:g}"
        if key in known["runs"]:
            continue
        known["runs"][key] = {"student": name, "width": width, "rate": rate} | _trained(
            name, width, rate, known["config"]
        )
        file.write_text(json.dumps(known, indent=1) + "\n")
        print(key, f"{max(known['runs'][key]['validations']):.4f}", flush=True)


def _trained(name: str, width: int, rate: float, given: dict[str, Any]) -> dict[str, Any]:
    """Validation accuracies, seconds of this process's processor up to each, and what the student costs."""
    student = Architecture(name=f"retort:{name}", options={"width": width})
    config = DistillConfig.model_validate(given | {"learning_rate": rate})
    spec = RunSpec(config=config, student=student, dataset=DatasetInput(kind="named", name="fashion-mnist"))
    found, seconds, result = list[float](), list[float](), {}
    begun = 0.0
    with TemporaryDirectory() as folder:
        for event in run(spec, Path(folder), Control()):
            if event.kind == "phase" and event.data["phase"] == "distilling":
                begun = time.process_time()
            if event.kind == "metrics" and event.data["split"] == "validation":
                found.append(event.data["values"]["accuracy"])
                seconds.append(time.process_time() - begun)
            if event.kind == "result":
                result = event.data
    cost = {each: result["student"][each] for each in ("parameters", "flops", "bytes")}
    return {"validations": found, "seconds": seconds} | cost


# ---- replaying


@dataclass(frozen=True)
class Search:
    """What a search over the curves found: the best value of a run that went to its end, and the seconds of all."""

    best: float
    seconds: float
    whole: int
    begun: int


def searched(runs: dict[str, Any], strategy: str, seed: int, **parameters: Any) -> Search:
    """One trial at a time: a point is asked for, its validations are told one by one, until it is given up or over."""
    students = dict.fromkeys(f"{each['student']} {each['width']}" for each in runs.values())
    space = Space([Domain(STUDENT, tuple(students)), Domain(RATE, tuple(RATES))])
    asked = strategies.get(strategy)(Plan(space, {}, seed, ("maximize",), EPOCHS), **parameters)
    tried, best, spent, known = list[Tried](), 0.0, 0.0, set[str]()
    while len(known) < len(runs):
        point = next(each for each in asked.proposals(tried) if _key(each) not in known)
        known.add(_key(point))
        run_ = runs[_key(point)]
        tried.append(Tried(point, "running"))
        ended, told = False, {}
        for step, value in enumerate(run_["validations"], 1):
            told[step] = value
            spent += run_["seconds"][step - 1] - (run_["seconds"][step - 2] if step > 1 else 0.0)
            if strategies.prunes(strategy) and step < EPOCHS:
                ended, after = asked.judge(tried, len(tried) - 1, dict(told))
                tried[-1] = Tried(point, "running", None, after.reported, after.marks)
            if ended:
                break
        state, value = ("pruned", None) if ended else ("complete", (max(run_["validations"]),))
        tried[-1] = Tried(point, state, value, tried[-1].reported or told, tried[-1].marks)
        best = best if ended else max(best, max(run_["validations"]))
    return Search(best, spent, sum(each.state == "complete" for each in tried), len(tried))


def _key(point: dict[str, Any]) -> str:
    return f"{point[STUDENT]} {point[RATE]:g}"


# ---- telling


def tables(known: dict[str, Any]) -> Iterator[str]:
    runs = _complete(known["runs"])
    grid, whole = max(max(each["validations"]) for each in runs.values()), _seconds(runs)
    yield f"Grid: {len(runs)} configurations, {EPOCHS} epochs each, {whole:.0f} s of processor; best {grid:.4f}."
    yield "\n| search | seed | best found | behind the grid | share of its time | run to their end |"
    yield "|---" * 6 + "|"
    for strategy, parameters in (("asha", {}), ("asha", {"reduction_factor": 4}), ("hyperband", {})):
        for seed in SEARCH_SEEDS:
            found = searched(runs, strategy, seed, **parameters)
            name = strategy + (f", eta {parameters['reduction_factor']}" if parameters else "")
            yield (
                f"| {name} | {seed} | {found.best:.4f} | {grid - found.best:.4f} | {100 * found.seconds / whole:.0f} % "
                f"| {found.whole} of {found.begun} |"
            )
    yield from _sizes(runs)


def _complete(runs: dict[str, Any]) -> dict[str, Any]:
    """Without students of which a learning rate is missing still."""
    names = [(each["student"], each["width"]) for each in runs.values()]
    return {key: each for key, each in runs.items() if names.count((each["student"], each["width"])) == len(RATES)}


def _seconds(runs: dict[str, Any]) -> float:
    return float(sum(each["seconds"][-1] for each in runs.values()))


def _sizes(runs: dict[str, Any]) -> Iterator[str]:
    """How the size of a student goes with the best accuracy that any learning rate gave it."""
    by_student: dict[str, list[Any]] = {}
    for each in runs.values():
        by_student.setdefault(f"{each['student']} {each['width']}", []).append(each)
    best = [max(max(each["validations"]) for each in found) for found in by_student.values()]
    first = [found[0] for found in by_student.values()]
    yield "\n| student | parameters | FLOPs | best accuracy |\n|---|---|---|---|"
    for name, each, value in zip(by_student, first, best, strict=True):
        yield f"| {name} | {each['parameters']:,} | {each['flops']:,} | {value:.4f} |"
    sizes = {
        "parameters": [float(each["parameters"]) for each in first],
        "FLOPs": [float(each["flops"]) for each in first],
        "parameters x FLOPs": [log(each["parameters"]) + log(each["flops"]) for each in first],
    }
    told = ", ".join(f"{name} {spearman(values, best):+.2f}" for name, values in sizes.items())
    yield f"\nRank correlation with the best accuracy, {len(best)} students: {told}."


if __name__ == "__main__":
    main()
