"""What a study says of its figures, against scipy and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distill.search.objectives import Objective
from distill.search.pareto import pareto
from distill.search.statistics import Spread, front, paired, spread
from distill.search.student_t import cdf, quantile
from distill.search.table import Row, Run, Table, tabulate


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30, 101])
def test_students_t_is_scipys(freedom: int) -> None:
    for t in (-3.0, 0.0, 0.4, 12.7):
        assert cdf(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), abs=1e-12)
    for probability in (0.025, 0.5, 0.9, 0.975, 0.99995):
        assert quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-9, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.integers(1, 20))
def test_a_paired_difference_is_the_t_interval_of_its_seeds(values: list[float], comparisons: int) -> None:
    ours, theirs = dict(enumerate(values)), dict(enumerate(values[::-1]))
    found = paired(ours, theirs, higher_is_better=True, comparisons=comparisons)
    assert found is not None
    differences = [a - b for a, b in zip(values, values[::-1], strict=True)]
    assert found.low is not None
    assert found.high is not None
    spreads = spread(differences)
    assert spreads is not None
    half = stats.t.ppf(1 - 0.05 / (2 * comparisons), len(values) - 1) * stats.tstd(differences) / len(values) ** 0.5
    assert (found.low, found.high) == (
        pytest.approx(found.mean - half, abs=1e-9),
        pytest.approx(found.mean + half, abs=1e-9),
    )


def test_only_common_seeds_are_paired_and_one_says_nothing_of_noise() -> None:
    assert paired({0: 0.9}, {1: 0.5}, True) is None
    one = paired({0: 0.9, 2: 0.1}, {0: 0.5, 1: 0.1}, True)
    assert one is not None
    assert (one.n, one.mean, one.low, one.verdict) == (1, pytest.approx(0.4), None, "too few seeds")


@pytest.mark.parametrize(("higher", "verdict"), [(True, "better"), (False, "worse")])
def test_the_direction_says_what_is_better(higher: bool, verdict: str) -> None:
    found = paired({0: 0.9, 1: 0.91, 2: 0.92}, {0: 0.5, 1: 0.5, 2: 0.5}, higher)
    assert found is not None
    assert found.verdict == verdict


def test_equal_differences_of_values_that_vary_estimate_no_noise() -> None:
    """Two seeds on ten samples may differ by the same two samples; sizes, which never vary, differ for certain."""
    found = paired({0: 0.4, 1: 0.8}, {0: 0.2, 1: 0.6}, True)
    assert found is not None
    assert (found.verdict, found.low, found.n) == ("too few seeds", None, 2)
    sizes = paired({0: 90.0, 1: 90.0}, {0: 100.0, 1: 100.0}, False)
    assert sizes is not None
    assert (sizes.verdict, sizes.low, sizes.high) == ("better", -10.0, -10.0)


def test_more_comparisons_want_a_larger_difference() -> None:
    ours, theirs = {0: 0.53, 1: 0.55, 2: 0.54}, {0: 0.5, 1: 0.5, 2: 0.5}
    verdicts = [found.verdict for m in (1, 40) if (found := paired(ours, theirs, True, m))]
    assert verdicts == ["better", "within noise"]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_the_front_is_what_no_other_dominates(points: list[tuple[int, int]]) -> None:
    """By the definition: the first maximised, the second minimised."""

    def dominated(one: tuple[int, int]) -> bool:
        return any(other != one and other[0] >= one[0] and other[1] <= one[1] for other in points)

    expected = {place for place, point in enumerate(points) if not dominated(point)}
    assert set(front(points, (True, False))) == expected


def test_diverged_runs_are_in_no_mean_and_are_counted() -> None:
    def run(configuration: int, seed: int, value: float | None, outcome: str | None = None) -> Run:
        values = None if value is None else {"accuracy": value}
        return Run(configuration, seed, "search", {}, "succeeded" if values else "failed", outcome, values, None)

    runs = [run(0, 0, 0.5), run(0, 1, 0.6), run(1, 0, None, "diverged"), run(1, 1, 0.9)]
    table = tabulate(runs, [Objective("accuracy", "maximize")])
    first = table.rows[0]
    assert (first.configuration, first.values["accuracy"].n, first.runs["diverged"]) == (1, 1, 1)
    assert first.difference is not None
    assert (first.difference.mean, first.difference.n) == (pytest.approx(0.3), 1)  # of seed 1 alone
    assert table.comparisons == 0


def test_differences_that_cancel_out_are_none() -> None:
    found = paired({0: 0.3, 1: 0.1, 2: 0.2}, {0: 0.1, 1: 0.2, 2: 0.3}, True)
    assert found is not None
    assert found.mean == 0.0


def test_what_a_file_says_of_itself_puts_no_configuration_before_another() -> None:
    """Of three of one network two are worse, whatever their files weigh; the larger network is better."""
    known = [(0, 0.5, 17_640.0, 100.0), (1, 0.6, 17_640.0, 100.0), (2, 0.4, 17_632.0, 100.0), (3, 0.9, 20_000.0, 120.0)]
    figures = ("accuracy", "bytes", "parameters")
    rows = [
        Row(number, {}, values={name: Spread(value, None, 1) for name, value in zip(figures, values, strict=True)})
        for number, *values in known
    ]
    found = pareto(Table(rows, 0), Objective("bytes", "minimize"), Objective("accuracy", "maximize"))
    assert [point.configuration for point in found.points if point.best] == [1, 3]
    assert [point.x for point in found.points] == [17_632.0, 17_640.0, 17_640.0, 20_000.0]
