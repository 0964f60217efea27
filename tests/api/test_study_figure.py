"""GET /studies/{id}/figure against a real API: points, intervals, series, what is left out, scores of layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scipy import stats

from distill.types import Event
from store.settings import Settings
from store.tables import Study, Trial
from tests.api.checks import pointers, problem
from tests.api.driver import FRAME, point
from tests.api.modes import Service, serving
from tests.studies.support import all_trials, base, end, new_study, stepped

RECIPE, STUDENT, LAYERS = "/config/recipe", "/student", "/config/teacher_layers"
WIDTHS = (4, 8, 16)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with serving("embedded", Settings(data_dir=folder / "data"), folder) as service:
        yield service


def made(service: Service, space: list[dict[str, Any]], seeds: list[int], **base_job: Any) -> str:
    job = base(service.driver.dataset(), epochs=3) | base_job
    return new_study(service.database, base=job, space=space, seeds=seeds, strategy="grid", budget=BUDGET)


BUDGET = {"trials": 100, "minutes": None, "parallel": 50}


def begun(service: Service, study_id: str) -> list[Trial]:
    """All of the trials that the study begins at once."""
    stepped(service.database, study_id)
    return all_trials(service.database, study_id, "active")


@pytest.fixture(scope="module")
def sizes(service: Service) -> str:
    """Recipes by sizes with three seeds. Of one configuration a run diverged, of another all."""
    choices = [{"name": "retort:tiny", "options": {"width": width}} for width in WIDTHS]
    space = [{"pointer": RECIPE, "choices": ["cross_entropy", "logit"]}, {"pointer": STUDENT, "choices": choices}]
    study_id = made(service, space, [0, 1, 2], student=choices[1])
    for trial in begun(service, study_id):
        width = trial.assignment.get(STUDENT, choices[1])["options"]["width"]
        bad = trial.assignment.get(RECIPE) == "logit" and (width == 4 or (width == 8 and trial.seed == 1))
        end(service.database, trial.job_id or "", None if bad else value_of(width, trial.seed), parameters=10 * width)
    stepped(service.database, study_id)
    return study_id


def value_of(width: int, seed: int) -> float:
    return 0.6 + width / 100 + (0.013, 0.002, 0.021)[seed]


def asked(service: Service, study_id: str, **query: str) -> dict[str, Any]:
    answer = service.client.get(f"/studies/{study_id}/figure", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_recipes_against_the_students_size_with_intervals(service: Service, sizes: str) -> None:
    found = asked(service, sizes)
    assert (found["x"]["name"], found["x"]["logarithmic"]) == ("parameters", True)
    assert (found["y"]["name"], found["series"]["name"]) == ("accuracy", RECIPE)
    plain, logit = found["lines"]
    assert [line["value"] for line in found["lines"]] == ["cross_entropy", "logit"]
    assert [each["x"] for each in plain["points"]] == [40, 80, 160]
    assert plain["joined"] == [[each["configuration"] for each in plain["points"]]]
    for each, width in zip(plain["points"], WIDTHS, strict=True):
        values = [value_of(width, seed) for seed in range(3)]
        low, high = stats.t.interval(0.95, 2, sum(values) / 3, stats.sem(values))
        assert (each["n"], each["low"], each["high"]) == (3, pytest.approx(low), pytest.approx(high))
        assert service.client.get(f"/jobs/{each['job']}").status_code == 200
    assert [(each["x"], each["n"], each["unused"]) for each in logit["points"]] == [
        (80, 2, {"diverged": 1}),
        (160, 3, {}),
    ]
    (out,) = found["left_out"]
    assert (out["why"], out["unused"], out["assignment"][RECIPE]) == ("no_value", {"diverged": 3}, "logit")
    assert out["job"].startswith("job_")


def test_the_query_chooses_axes_and_series(service: Service, sizes: str) -> None:
    offered = asked(service, sizes)["choices"]
    assert [each["name"] for each in offered["series"]] == [RECIPE, STUDENT, "/student/options/width"]
    found = asked(service, sizes, x="width", y="latency_ms", series="none")
    assert (found["x"]["name"], found["y"]["name"], found["series"]) == ("/student/options/width", "latency_ms", None)
    assert len(found["lines"]) == 1
    assert found["lines"][0]["rank_correlation"] is None
    for query, at in (("x=beauty", "/x"), ("y=width", "/y"), ("series=beauty", "/series"), ("x=quality", "/x")):
        refused = service.client.get(f"/studies/{sizes}/figure?{query}")
        assert pointers(problem(refused, 422)) == {at}


def test_the_figure_has_forms_by_accept_and_by_query(service: Service, sizes: str) -> None:
    path = f"/studies/{sizes}/figure"
    assert service.client.get(path, headers={"Accept": "image/svg+xml"}).text.startswith("<?xml")
    assert service.client.get(f"{path}?format=png").content.startswith(b"\x89PNG")
    text = service.client.get(f"{path}?format=csv&x=parameters")
    assert (text.headers["content-type"].partition(";")[0], len(text.text.splitlines())) == ("text/csv", 7)
    problem(service.client.get(path, headers={"Accept": "audio/mpeg"}), 406, "not_acceptable")
    assert service.client.get(f"/studies/{sizes}").json()["links"]["figure"] == path


def test_a_place_of_many_values_tells_no_series_apart(service: Service) -> None:
    rate = "/config/learning_rate"
    study_id = made(service, [{"pointer": rate, "low": 1e-4, "high": 1.0, "log": True}], [0])
    found = asked(service, study_id)
    assert (found["x"]["name"], found["series"], found["choices"]["series"]) == (rate, None, [])
    assert [found["left_out"], found["lines"][0]["points"]] == [[], []]
    refused = service.client.get(f"/studies/{study_id}/figure?series=learning_rate")
    assert pointers(problem(refused, 422)) == {"/series"}


def test_a_layers_score_stands_against_its_worth(service: Service) -> None:
    """Four layers of each of two teachers, distilled alone; the score is that of the jobs' own curves."""
    teachers = [service.driver.teacher(name=name) for name in ("large", "wide")]
    space = [
        {"pointer": "/teacher", "choices": [[each] for each in teachers]},
        {"pointer": LAYERS, "choices": [[f"layer{index}"] for index in range(4)] + [["unheard"]]},
    ]
    job = base("", recipe="feature_only")["config"]
    study_id = made(service, space, [0], teacher=[teachers[0]], config=job)
    with service.database.write() as session:
        session.get_one(Study, study_id).inputs = teachers
    worth = {"layer0": 0.6, "layer1": 0.8, "layer2": 0.7, "layer3": 0.9, "unheard": 0.5}
    for trial in begun(service, study_id):
        lease = service.driver.claim(trial.job_id or "")
        digest = "".join(trial.assignment.get("/teacher", teachers[:1]))
        service.driver.record(lease, Event("layers", FRAME | {"digest": digest}))
        scale = 1.0 if digest == teachers[0] else 10.0
        for index in range(4):
            scored = point(index) | {"quality": scale * point(index)["quality"]}
            service.driver.record(lease, Event("layer_quality", scored))
        (layer,) = trial.assignment.get(LAYERS, ["layer0"])
        end(service.database, trial.job_id or "", worth[layer] if scale == 1 else 1 - worth[layer])
    stepped(service.database, study_id)
    found = asked(service, study_id, series="teacher")
    assert (found["x"]["name"], [line["label"] for line in found["lines"]]) == ("quality", ["large", "wide"])
    quality = [point(index)["quality"] for index in range(4)]
    for line, scale, sign in zip(found["lines"], (1, 10), (1, -1), strict=True):
        named = [each for each in line["points"] if each["layer"] is not None]
        assert [each["layer"] for each in named] == [f"layer{index}" for index in range(4)]
        assert [each["x"] for each in named] == pytest.approx([scale * each for each in quality])
        values = [sign * worth[f"layer{index}"] for index in range(4)]
        assert line["rank_correlation"] == pytest.approx(stats.spearmanr(quality, values).statistic)
        assert line["joined"] == []
    assert {each["why"] for each in found["left_out"]} == {"not_one_layer", "not_scored"}  # the base job; "unheard"
    depth = asked(service, study_id, x="relative_depth", series="none")["lines"][0]
    assert {each["x"] for each in depth["points"]} == {0.25, 0.5, 0.75, 1.0}
