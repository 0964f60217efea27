"""Like is compared with like: what two runs differ in is named, and nobody beats another student or longer training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill import tasks
from distill.likeness import COMPARED, EXECUTION, EXPORTED, Differing, alike, differences, shown
from distill.models.options import in_full
from distill.statistics import Difference
from distill.types import Architecture, ComparisonInput, DistillConfig, TeacherInput, TrainedRun
from distill.verdict import verdict
from tests.run.conftest import STUDENT, go, spec

CONFIG = DistillConfig(recipe="cross_entropy", learning_rate=0.001).model_dump()


def ran(**changes: Any) -> TrainedRun:
    """A run; what is no field of `TrainedRun` is one of its configuration."""
    own = {name: changes.pop(name) for name in list(changes) if name in TrainedRun.model_fields}
    base: dict[str, Any] = {"student": STUDENT, "steps": 100, "configuration": CONFIG | changes}
    return TrainedRun.model_validate(base | own)


ESSENTIAL: list[tuple[str, Any]] = [
    ("student", Architecture(name="retort:resnet14", options={"width": 4})),
    ("student", Architecture(name="retort:resnet8", options={"width": 8})),
    ("steps", 101),
]
NAMED: list[tuple[str, Any]] = [
    ("epochs", 7), ("max_steps", 9), ("batch_size", 64), ("augmentation", "crop_flip"), ("precision", "bf16"),
    ("train_limit", 100), ("test_limit", 100), ("learning_rate", 0.1), ("fit_head", False), ("seed", 3),
    ("head_fitted", True), ("start", "a" * 64),
    ("backbone_learning_rate", 0.01), ("validation_fraction", 0.2), ("image_size", 64), ("ema_decay", 0.9),
    ("max_length", 64),
    ("gradient_accumulation", 2), ("weight_decay", 0.0), ("clip_norm", 1.0), ("a_setting_of_tomorrow", 1),
]  # fmt: skip
NOT_NAMED: list[tuple[str, Any]] = [
    ("recipe", "logit"), ("recipe_parameters", {"temperature": 2}), ("selection", "even"), ("layers", 2),
    ("device", "cuda"), ("checkpoint_seconds", 1.0), ("cache_teacher", True), ("teacher_classes", "other"),
    ("quality_samples", 9),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [*ESSENTIAL, *NAMED])
def test_each_difference_is_named_by_its_field(field: str, value: Any) -> None:
    found = differences(ran(), ran(**{field: value}))
    assert [each.field for each in found] == [field]
    assert found[0].ours != found[0].theirs
    assert alike(found) is (field not in {"student", "steps"})


@pytest.mark.parametrize(("field", "value"), NOT_NAMED)
def test_what_is_compared_and_how_it_was_computed_are_no_differences(field: str, value: Any) -> None:
    assert differences(ran(), ran(**{field: value})) == []


@pytest.mark.parametrize("name", ["class_weights", "sampling", "layer_decay", "optimizer", "mixup"])
def test_a_run_of_a_release_without_a_setting_had_its_default(name: str) -> None:
    earlier = ran()
    earlier.configuration.pop(name)
    assert differences(ran(), earlier) == []
    assert [each.field for each in differences(ran(**{name: 0.5}), earlier)] == [name]


def test_sets_of_fields_are_of_settings_that_there_are() -> None:
    assert set(DistillConfig.model_fields) >= COMPARED | EXECUTION | EXPORTED
    assert not COMPARED & (EXECUTION | EXPORTED)


def test_several_differences_are_all_named() -> None:
    found = differences(ran(), ran(steps=7, batch_size=32, recipe="logit", seed=1))
    assert {each.field: (each.ours, each.theirs) for each in found} == {
        "steps": (100, 7), "batch_size": (128, 32), "seed": (0, 1)
    }  # fmt: skip


def test_a_teacher_is_named_where_both_have_one() -> None:
    assert differences(ran(teacher="a"), ran()) == []
    assert [each.field for each in differences(ran(teacher="a"), ran(teacher="b"))] == ["teacher"]


def test_two_spellings_of_a_student_are_one() -> None:
    short, long = Architecture(name="retort:resnet8"), Architecture(name="retort:resnet8", options={"width": 16})
    assert in_full(short) == in_full(long)
    assert in_full(Architecture(name="timm:resnet18")) == Architecture(name="timm:resnet18")
    untied = Architecture(name="transformers:llama", options={"layers": 2, "untied": True})
    assert differences(ran(student=untied), ran(student=Architecture(name=untied.name, options={"layers": 2}))) == []


AHEAD, BEHIND = Difference(0.02, 0.01, 0.03, 500, True), Difference(-0.02, -0.03, -0.01, 500, True)
METRICS = {spec.name: spec.primary for spec in tasks.specs()} | {
    "perplexity": next(metric for metric in tasks.spec("generate_text").metrics if metric.name == "perplexity")
}


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("difference", [AHEAD, BEHIND])
def test_beats_follows_the_metrics_direction_and_only_of_like(name: str, difference: Difference) -> None:
    metric = METRICS[name]
    beats = (difference is AHEAD) == metric.higher_is_better
    seeds = [Differing("seed", 0, 1)]
    for differing in ([], seeds):
        said = verdict(difference, "base", metric, differing)
        assert (said["beats"], said["alike"]) == (beats, True)
        assert said["differences"] == [each.to_dict() for each in differing]
    for differing in ([Differing("steps", 10, 20), *seeds], None):
        said = verdict(difference, "base", metric, differing)
        assert said["beats"] is None
        assert said["alike"] is (None if differing is None else False)
        assert "beat" not in said["text"]
        assert ("above" in said["text"]) is (difference is AHEAD)
        assert metric.label in said["text"]
        assert said["difference"] == difference.to_dict()
        assert all(each.field in said["text"] for each in differing or ())


def test_values_in_words() -> None:
    assert shown({"name": "retort:resnet8", "options": {"width": 4}}) == "retort:resnet8 with width 4"
    assert [shown(value) for value in (None, True, 0.00125, "a" * 64)] == ["none", "yes", "0.00125", "a" * 12 + "..."]


def test_a_run_names_the_differences_in_its_report(
    teacher: TeacherInput, comparison: ComparisonInput, tmp_path: Path
) -> None:
    """The comparison is another student, trained for longer with another batch."""
    other = Architecture(name="retort:resnet8", options={"width": 8})
    its_own = TrainedRun(student=other, steps=999, configuration={"batch_size": 32})
    events = go(spec(teacher, recipe="logit", comparison=comparison.model_copy(update={"run": its_own})), tmp_path)
    (result,) = [event.data for event in events if event.kind == "result"]
    said = result["verdict"]
    fields = {each["field"]: each["theirs"] for each in said["differences"]}
    assert fields["student"] == other.model_dump()
    assert (fields["steps"], fields["batch_size"]) == (999, 32)
    assert (said["alike"], said["beats"]) == (False, None)
    text = (tmp_path / "artifacts" / "report.md").read_text()
    assert "| steps |" in text
    assert "retort:resnet8 with width 8" in text
