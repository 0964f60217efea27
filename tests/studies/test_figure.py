"""A study's figure: its intervals and rank correlation against scipy, its series, lines and what it leaves out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distill.search import figure
from distill.search.figure import Axis, Figure, Layer
from distill.search.figure_forms import to_csv, to_png, to_svg
from distill.search.figure_words import reading
from distill.search.objectives import Objective
from distill.search.places import Places
from distill.search.rank import spearman
from distill.search.space import Space
from distill.search.statistics import interval, spread
from distill.search.table import Run, Table, tabulate

ACCURACY = Objective("accuracy", "maximize")
RECIPE, EPOCHS, STUDENT, WIDTH = "/config/recipe", "/config/epochs", "/student", "/student/options/width"
LAYERS = "/config/teacher_layers"
BASE: dict[str, Any] = {"config": {"epochs": 2}, "student": {"name": "retort:tiny", "options": {"width": 8}}}


def student(width: int) -> dict[str, Any]:
    return {"name": "retort:tiny", "options": {"width": width}}


def run(configuration: int, seed: int, assignment: dict[str, Any], value: float | None, **costs: float) -> Run:
    """Without a value it diverged."""
    values = None if value is None else {"accuracy": value, **costs}
    state, outcome = ("failed", "diverged") if value is None else ("succeeded", None)
    return Run(configuration, seed, "search", assignment, state, outcome, values, None)


def asked(
    runs: list[Run], space: list[dict[str, Any]], x: str, series: str | None = None,
    layers: dict[int, Layer] | None = None,
) -> Figure:  # fmt: skip
    places = Places(Space.from_list(space), BASE)
    across = {axis.name: axis for axis in figure.across(places, [ACCURACY])}[x]
    apart = {axis.name: axis for axis in figure.apart(places)}[series] if series else None
    return figure.drawn(tabulate(runs, [ACCURACY]), places, across, figure.figures([ACCURACY])[0], apart, layers)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_an_interval_is_students_t_over_the_seeds(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    if max(values) - min(values) < 1e-9:
        return
    expected = stats.t.interval(0.95, len(values) - 1, found.mean, stats.sem(values))
    assert interval(found) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_one_seed_and_seeds_that_coincide_have_no_interval() -> None:
    for values in ([0.5], [0.5, 0.5, 0.5]):
        found = spread(values)
        assert found is not None
        assert interval(found) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=12))
def test_the_rank_correlation_is_scipys_ties_included(pairs: list[tuple[int, int]]) -> None:
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    found = spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_two_points_have_no_rank_correlation() -> None:
    assert spearman([1.0, 2.0], [3.0, 4.0]) is None


GRID = [
    {"pointer": RECIPE, "choices": ["feature_only", "logit"]},
    {"pointer": STUDENT, "choices": [student(4), student(8)]},
]


def grid() -> list[Run]:
    """The base job stands for what it is of the grid: feature_only by default, and width 8."""
    of = [
        (0, {}, 8), (1, {RECIPE: "feature_only", STUDENT: student(4)}, 4),
        (2, {RECIPE: "logit", STUDENT: student(4)}, 4), (3, {RECIPE: "logit", STUDENT: student(8)}, 8),
    ]  # fmt: skip
    return [
        run(number, seed, place, None if (number, seed) in ((3, 0), (2, 0), (2, 1)) else 0.5 + seed / 100 + number / 50,
            parameters=100.0 * width)
        for number, place, width in of
        for seed in (0, 1)
    ]  # fmt: skip


def test_series_by_recipe_against_the_students_size_with_the_base_job_where_it_belongs() -> None:
    found = asked(grid(), GRID, "parameters", RECIPE)
    feature_only, logit = found.lines
    assert [(p.configuration, p.x, p.n) for p in feature_only.points] == [(1, 400.0, 2), (0, 800.0, 2)]
    assert feature_only.joined == [[1, 0]]
    assert (found.x.logarithmic, [p.configuration for p in logit.points], logit.joined) == (True, [3], [])
    alone = logit.points[0]
    assert (alone.n, alone.sd, alone.low, dict(alone.unused)) == (1, None, None, {"diverged": 1})
    assert [(each.configuration, each.why, dict(each.unused)) for each in found.left_out] == [
        (2, "no_value", {"diverged": 2})
    ]
    said = " ".join(reading(found))
    assert "configuration 2 (2 diverged)" in said
    assert "configuration 3 (1 diverged)" in said


def test_lines_join_what_differs_in_x_alone() -> None:
    """Of two recipes at two lengths without series: a line a recipe, not one through both."""
    space = [{"pointer": RECIPE, "choices": ["logit", "simkd"]}, {"pointer": EPOCHS, "low": 1, "high": 90}]
    runs = [
        run(number, 0, {RECIPE: recipe, EPOCHS: epochs}, 0.5 + number / 100)
        for number, (recipe, epochs) in enumerate([("logit", 3), ("simkd", 3), ("logit", 90), ("simkd", 90.0)], 1)
    ]
    found = asked(runs, space, EPOCHS)
    assert (found.series, found.lines[0].joined, found.x.logarithmic) == (None, [[1, 3], [2, 4]], True)
    assert not asked(runs[:2], space, EPOCHS).x.logarithmic
    assert asked([run(1, 0, {RECIPE: "logit"}, 0.5, seconds=3.0)], space, "seconds").lines[0].joined == []


def test_settings_that_go_together_are_places_one_by_one() -> None:
    """Choices at /config are objects: each of their settings may be x, and all together tell series apart."""
    choices = [
        {"recipe": "logit", "epochs": 2},
        {"recipe": "feature_only", "epochs": 2},
        {"recipe": "logit", "epochs": 9},
    ]
    space = [{"pointer": "/config", "choices": choices}]
    runs = [run(0, 0, {}, 0.4), run(1, 0, {"/config": choices[0]}, 0.5), run(2, 0, {"/config": choices[2]}, 0.6)]
    found = asked(runs, space, EPOCHS, RECIPE)
    by_label = {line.label: line for line in found.lines}
    assert [p.configuration for p in by_label["feature_only"].points] == [0]
    assert by_label["logit"].joined == [[1, 2]]
    together = asked(runs, space, EPOCHS, "/config")
    assert [line.label for line in together.lines if line.points][1] == "recipe feature_only, epochs 2"  # the base job


def test_a_place_that_is_no_number_is_named() -> None:
    space = [{"pointer": "/config/learning_rate", "choices": ["auto", 0.01, 0.1]}]
    runs = [run(0, 0, {}, 0.4), run(1, 0, {"/config/learning_rate": 0.01}, 0.5)]
    found = asked(runs, space, "/config/learning_rate")
    assert [(each.configuration, each.why) for each in found.left_out] == [(0, "no_number")]


def test_a_layers_score_against_its_worth_has_the_rank_correlation_of_each_series() -> None:
    names = ["a", "b", "c", "d", "e"]
    space = [{"pointer": LAYERS, "choices": [[name] for name in names]}]
    worth, quality = [0.5, 0.7, 0.6, 0.9, 0.8], [1.0, 3.0, 2.0, 2.0, 5.0]
    runs = [run(0, 0, {}, 0.4), *(run(i + 1, 0, {LAYERS: [name]}, worth[i]) for i, name in enumerate(names))]
    layers = {i + 1: Layer(name, {"quality": quality[i]}) for i, name in enumerate(names)}
    found = asked(runs, space, "quality", layers=layers)
    (line,) = found.lines
    assert line.rank_correlation == pytest.approx(stats.spearmanr(quality, worth).statistic)
    assert [(p.layer, p.x) for p in line.points] == [("a", 1.0), ("c", 2.0), ("d", 2.0), ("b", 3.0), ("e", 5.0)]
    assert (line.joined, [(each.configuration, each.why) for each in found.left_out]) == ([], [(0, "not_one_layer")])
    unscored = asked(runs, space, "quality", layers=layers | {5: Layer("e", {})})
    assert unscored.left_out[-1].why == "not_scored"


def test_forms_tell_points_and_what_is_left_out() -> None:
    found = asked(grid(), GRID, "parameters", RECIPE)
    head, *rows = to_csv(found).splitlines()
    assert head == "configuration,recipe,parameters of the student,accuracy,accuracy_sd,n,low,high,layer,left_out"
    assert [row.split(",")[0] for row in rows] == ["1", "0", "3", "2"]
    assert rows[2].startswith("3,logit,800.0,")
    assert rows[2].endswith(",1 diverged")
    svg = to_svg(found, "ours $a$")
    assert svg == to_svg(found, "ours $a$")
    assert "ours $a$" in svg
    assert ">logit<" in svg
    assert to_png(found, "ours").startswith(b"\x89PNG")


def test_nothing_to_draw_is_said() -> None:
    places = Places(Space.from_list(GRID), BASE)
    empty = figure.drawn(
        Table([], 0), places, figure.across(places, [ACCURACY])[0], Axis("accuracy", "figure", "a"), None
    )
    assert (empty.points, len(reading(empty))) == ([], 1)
    assert to_svg(empty, "nothing").startswith("<?xml")
