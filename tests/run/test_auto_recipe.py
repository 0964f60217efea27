"""`recipe: auto`: candidates in rungs on validation samples, then the very job that had named the winner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill import auto_recipe, recipes, tasks
from distill.auto_recipe import Rung
from distill.control import Control
from distill.errors import InvalidConfig, UnknownName
from distill.types import Event, RunSpec, TeacherInput
from tests.run.conftest import STUDENT, config, go, sha256, spec

pytestmark = pytest.mark.long

QUICK: dict[str, Any] = {"max_steps": 8, "batch_size": 32, "train_limit": 200, "test_limit": 100, "fit_head": False}
CANDIDATES = ["cross_entropy", "feature_only", "logit", "simkd"]


def auto(teacher: TeacherInput | None = None, **changes: Any) -> RunSpec:
    settings = {"recipe": "auto", "auto_steps": 2, "auto_minutes": 1000, "auto_recipes": CANDIDATES}
    return spec(teacher, **(QUICK | settings | changes))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherInput:
    """One that has hardly been trained: that is all the same here."""
    folder = tmp_path_factory.mktemp("teacher")
    go(spec(recipe="cross_entropy", **QUICK), folder)
    weights = folder / "artifacts" / "student.safetensors"
    return TeacherInput(architecture=STUDENT, weights=str(weights), num_classes=10, digest=sha256(weights))


@pytest.fixture(scope="module")
def undisturbed(teacher: TeacherInput, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("auto")
    return folder / "artifacts", go(auto(teacher), folder)


def choice_of(artifacts: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((artifacts / "report.json").read_text())["choice"]
    return found


def test_the_winner_is_trained_as_the_job_that_names_it(
    undisturbed: tuple[Path, list[Event]], teacher: TeacherInput, tmp_path: Path
) -> None:
    artifacts, events = undisturbed
    choice = choice_of(artifacts)
    assert choice["rungs"] == [2, 6]
    rows = {row["recipe"]: row for row in choice["table"]}
    assert sorted(rows) == CANDIDATES
    first = {name: row["values"][0] for name, row in rows.items()}
    best = [name for name, row in rows.items() if len(row["values"]) == 2]
    assert len(best) == 2
    assert min(first[name] for name in best) >= max(first[name] for name in rows if name not in best)
    assert choice["recipe"] == max(best, key=lambda name: rows[name]["values"][1])
    assert choice["table"][0]["recipe"] == choice["recipe"]
    resolved = next(event.data for event in events if event.kind == "resolved")
    assert resolved["config"]["recipe"] == choice["recipe"]
    assert resolved["reasons"]["recipe"] == choice["reason"]
    for name in ("report.md", "README.md"):
        assert choice["reason"] in (artifacts / name).read_text()
    go(spec(teacher, recipe=choice["recipe"], **QUICK), tmp_path)
    assert sha256(tmp_path / "artifacts" / "student.safetensors") == sha256(artifacts / "student.safetensors")
    assert "choice" not in json.loads((tmp_path / "artifacts" / "report.json").read_text())


def test_events_say_how_far_it_is(undisturbed: tuple[Path, list[Event]]) -> None:
    _, events = undisturbed
    phases = [event.data["phase"] for event in events if event.kind == "phase"]
    assert phases[0] == "choosing"
    begin = next(i for i, event in enumerate(events) if event.kind == "phase" and event.data["phase"] != "choosing")
    before = events[:begin]
    assert {event.kind for event in before} == {"phase", "log", "choice", "progress", "checkpoint"}
    done = [event.data["fraction"] for event in before if event.kind == "progress"]
    assert done == sorted(done)
    assert done[-1] == 1.0
    steps = [event.data["step"] for event in before if event.kind == "checkpoint"]
    assert steps == sorted(set(steps))
    assert steps[-1] < 0
    assert len([event for event in before if event.kind == "choice"]) == 1 + 4 + 2 + 1


@pytest.mark.parametrize("number", [1, 11])
def test_handed_over_in_the_middle_of_a_rung(
    undisturbed: tuple[Path, list[Event]], teacher: TeacherInput, tmp_path: Path, number: int
) -> None:
    control, seen = Control(), 0

    def watch(event: Event) -> None:
        nonlocal seen
        seen += event.kind == "progress"
        control.handover = seen >= number

    events = go(auto(teacher), tmp_path / "first", control, watch)
    assert events[-1].kind != "done"
    newest = [event.data["path"] for event in events if event.kind == "checkpoint"][-1]
    again = go(auto(teacher, resume_from=newest), tmp_path / "second")
    assert again[-1].kind == "done"
    same(undisturbed[0], tmp_path / "second" / "artifacts")


def test_killed_in_the_middle_of_a_rung(
    undisturbed: tuple[Path, list[Event]], teacher: TeacherInput, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    newest: list[str] = []

    def watch(event: Event) -> None:
        if event.kind == "checkpoint":
            newest.append(event.data["path"])
        if event.kind == "progress" and event.data["step"] == 11:  # of 4 x 2, then in the first 6 of 2 x 6
            raise Killed

    with pytest.raises(Killed):
        go(auto(teacher), tmp_path, watch=watch)
    assert go(auto(teacher, resume_from=newest[-1]), tmp_path)[-1].kind == "done"  # what was left lies in its folder
    same(undisturbed[0], tmp_path / "artifacts")


def same(one: Path, other: Path) -> None:
    ours, theirs = choice_of(one), choice_of(other)
    assert (ours["recipe"], ours["table"]) == (theirs["recipe"], theirs["table"])
    assert sha256(one / "student.safetensors") == sha256(other / "student.safetensors")


def test_the_training_goes_on_without_another_choice(teacher: TeacherInput, tmp_path: Path) -> None:
    control = Control()

    def watch(event: Event) -> None:
        control.handover = event.kind == "checkpoint" and event.data["step"] >= 0

    given = auto(teacher, auto_recipes=["cross_entropy", "logit"])
    events = go(given, tmp_path, control, watch)
    newest = [event.data["path"] for event in events if event.kind == "checkpoint"][-1]
    again = go(given.model_copy(update={"resume_from": newest}), tmp_path / "second")
    assert not [event for event in again if event.kind == "choice"]
    assert again[-1].kind == "done"
    told = [event.data for event in events if event.kind == "choice"][-1]
    assert choice_of(tmp_path / "second" / "artifacts") == told


def test_stopped_meanwhile_it_takes_what_is_known(teacher: TeacherInput, tmp_path: Path) -> None:
    control = Control()

    def watch(event: Event) -> None:
        control.stop |= event.kind == "choice" and any(row["values"] for row in event.data["table"])

    events = go(auto(teacher), tmp_path, control, watch)
    assert events[-1].kind == "done"
    choice = choice_of(tmp_path / "artifacts")
    assert choice["recipe"] == "cross_entropy"  # the only one that was trained
    assert [len(row["values"]) for row in choice["table"]] == [1, 0, 0, 0]


def test_without_any_evidence_it_says_so(teacher: TeacherInput, tmp_path: Path) -> None:
    control = Control(stop=True)
    events = go(auto(teacher, auto_recipes=["cross_entropy", "feature_only"], auto_steps="auto"), tmp_path, control)
    assert "recipe_not_chosen" in [event.data["code"] for event in events if event.kind == "warning"]
    assert choice_of(tmp_path / "artifacts")["recipe"] == "feature_only"


def test_who_does_not_fit_is_named_with_why(teacher: TeacherInput, tmp_path: Path) -> None:
    given = auto(teacher, auto_recipes=["cross_entropy", "focal_global", "blockwise_logit"], max_steps=2)
    events = go(given.model_copy(update={"config": given.config.model_copy(update={"layers": 9})}), tmp_path)
    rows = {row["recipe"]: row for row in next(e for e in reversed(events) if e.kind == "choice").data["table"]}
    assert rows["cross_entropy"]["values"]
    assert not rows["focal_global"]["values"]
    assert rows["focal_global"]["note"]
    assert not rows["blockwise_logit"]["values"]  # the student has no 9 layers
    assert rows["blockwise_logit"]["note"]


def test_where_nothing_fits_the_reasons_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as refused:
        go(auto(None, auto_recipes=["logit", "simkd"]), tmp_path)
    assert sorted(refused.value.details["reasons"]) == ["logit", "simkd"]


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(InvalidConfig):
        auto_recipe.named(config(recipe="auto", recipe_parameters={"temperature": 2}))
    with pytest.raises(UnknownName):
        auto_recipe.named(config(recipe="auto", auto_recipes=["logit", "lojit"]))


@pytest.mark.parametrize("task", tasks.names())
def test_every_task_has_candidates(task: str) -> None:
    fit, unfit = auto_recipe.fitting(tasks.spec(task), config(recipe="auto"), 1)
    assert sorted((*fit, *unfit)) == sorted(recipes.names())
    assert "feature_only" in fit
    assert all(tasks.spec(task).offers(name) for name in fit)
    alone, _ = auto_recipe.fitting(tasks.spec(task), config(recipe="auto"), 0)
    assert not [name for name in alone if recipes.registry.flag(name, "needs_teacher", default=True)]


@pytest.mark.parametrize(
    ("candidates", "first", "longest", "found"),
    [
        (20, 32, 10_000, [Rung(20, 32), Rung(7, 96), Rung(3, 288)]),
        (3, 32, 10_000, [Rung(3, 32)]),
        (4, 32, 10_000, [Rung(4, 32), Rung(2, 96)]),
        (20, 32, 50, [Rung(20, 32), Rung(7, 50)]),
        (20, 64, 50, [Rung(20, 50)]),
        (1, 32, 50, [Rung(1, 32)]),
    ],
)
def test_rungs(candidates: int, first: int, longest: int, found: list[Rung]) -> None:
    assert list(auto_recipe.rungs(candidates, first, longest)) == found


def test_the_first_rung_is_what_the_minutes_allow() -> None:
    at = [auto_recipe.first_steps(10, minutes, 0.05, 1.0, 10**6) for minutes in (0.01, 10, 100)]
    assert at[0] == auto_recipe.FEWEST_STEPS
    assert at[1] < at[2]
    for minutes, steps in zip((10, 100), at[1:], strict=True):
        used = 10 * auto_recipe.depth(10) * (1.0 + steps * auto_recipe.SLOWER * 0.05) / 60
        assert minutes / 2.5 < used <= minutes
    assert auto_recipe.round_minutes(10, at[0], 0.05, 1.0) == pytest.approx(10 * (1 + 16 * 0.075) / 60)
    assert auto_recipe.first_steps(10, 100, 0.05, 1.0, 99) == 99


def test_a_round_that_takes_longer_than_was_asked_for_is_told(teacher: TeacherInput, tmp_path: Path) -> None:
    two = ["cross_entropy", "logit"]
    events = go(auto(teacher, auto_recipes=two, auto_steps="auto", auto_minutes=0.001), tmp_path)
    assert "auto_minutes" in next(e.data["message"] for e in events if e.data.get("level") == "warning")
    assert choice_of(tmp_path / "artifacts")["rungs"] == [8]  # of the job's own length


def test_lower_is_better_where_the_metric_says_so() -> None:
    rows = [{"recipe": name, "values": [value]} for name, value in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 1.0))]
    assert auto_recipe.ranked(rows, 0, higher=False) == ["b", "d", "c", "a"]
    assert auto_recipe.survivors(rows, 0, higher=True) == ["a", "c"]


def test_equal_values_are_ranked_by_the_rung_before_and_then_by_the_default() -> None:
    values = {"attention_transfer": [0.4, 1.0], "feature_only": [0.4, 1.0], "semckd": [0.6, 1.0], "vid": [0.9]}
    rows = [{"recipe": name, "values": found} for name, found in values.items()]
    assert auto_recipe.ranked(rows, 1, higher=True) == ["semckd", "feature_only", "attention_transfer"]
    assert auto_recipe.ranked(rows, 1, higher=False) == ["feature_only", "attention_transfer", "semckd"]
    assert auto_recipe.equals(rows, 1, "feature_only") == ["attention_transfer", "feature_only"]
    assert auto_recipe.equals(rows, 1, "semckd") == ["semckd"]


@pytest.mark.parametrize(
    ("values", "rung", "told"),
    [
        ([[0.3], [0.3], [0.3]], 0, False),
        ([[0.3, 0.5], [0.3, 0.5], [0.3]], 1, False),
        ([[0.3, 0.5], [0.3, 0.5], [0.2]], 1, True),
        ([[0.3, 0.5], [0.3, 0.6], [0.3]], 1, True),
        ([[0.3, 0.5], [0.3, 0.6], [0.3]], 0, False),
        ([[0.3], [], []], 0, True),
    ],
)
def test_whether_anything_told_the_recipes_apart(values: list[list[float]], rung: int, told: bool) -> None:
    rows = [{"recipe": str(number), "values": found} for number, found in enumerate(values)]
    assert auto_recipe.told_apart(rows, rung) is told


def test_recipes_that_are_all_equal_are_not_chosen_between(teacher: TeacherInput, tmp_path: Path) -> None:
    """At a rate that moves nothing every student answers as it did when it was made."""
    given = auto(
        teacher, auto_recipes=["cross_entropy", "feature_only", "logit"], learning_rate=1e-30, weight_decay=0.0,
        max_steps=2,
    )  # fmt: skip
    events = go(given, tmp_path)
    choice = choice_of(tmp_path / "artifacts")
    assert len({row["values"][0] for row in choice["table"]}) == 1
    assert choice["recipe"] == "feature_only"
    assert "recipe_not_chosen" in [event.data["code"] for event in events if event.kind == "warning"]
