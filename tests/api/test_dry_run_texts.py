"""Dry runs of jobs on texts: what is asked of workers, and figures or the reason why there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from distill.estimate import NetworkCost, SampleWork, Workload, disk_bytes, memory_bytes, other_flops, training_flops
from distill.language_families import OPTIONS
from distill.tasks import of_report, text_forecast
from distill.types import DistillConfig
from store.database import Database
from store.repositories import costs, system
from tests.api.checks import pointers, problem
from tests.api.driver import Driver

REPORT: dict[str, Any] = {
    "kind": "classify", "form": "texts", "classes": ["a", "b"], "counts": {"train": [500, 500], "test": [50, 50]},
    "words": [1, 20, 90], "longer_than": {"128": 0.0}, "duplicates_between_splits": 0, "mean_words": 20.0,
    "words_99": 80, "notes": [],
}  # fmt: skip
INSTRUCTIONS = REPORT | {"kind": "generate", "classes": [], "counts": {"train": [1000], "test": [100]}}
TEACHER = {"num_classes": 2, "generates": False, "config": {"model_type": "bert"},
           "architecture": {"name": "transformers:bert", "options": {}}}  # fmt: skip
COST = {"parameters": 10_000, "flops": 1_000_000, "activation_bytes": 40_000, "modules": 20, "features": 64,
        "widest_bytes": 4000, "vocabulary": 100, "max_length": 112}  # fmt: skip
CONFIG: dict[str, Any] = {"recipe": "logit", "epochs": 10, "batch_size": 100}


@pytest.fixture
def language(driver: Driver, database: Database) -> None:
    with database.write() as session:
        names = ("retort:resnet8", "transformers:auto", "transformers:bert")
        options = {name: {"options": dict(OPTIONS)} if name.startswith("transformers:") else {} for name in names}
        system.publish(
            session, "architecture", [{"name": name, "library": ""} | more for name, more in options.items()]
        )


def body(
    driver: Driver, report: dict[str, Any] = REPORT, teacher: dict[str, Any] | None = TEACHER, **config: Any
) -> Any:
    given = {"architecture": {"name": "transformers:auto", "options": {}}, "report": teacher, "sha256": "a" * 64}
    named = {"teacher": driver.teacher(**given)} if teacher is not None else {}
    student = {"name": "transformers:auto", "options": {"layers": 2}}
    dataset = driver.dataset(kind="table", name="texts", report=report)
    return named | {"dataset": dataset, "student": student, "config": CONFIG | config}


def answered(database: Database, question: dict[str, Any], found: dict[str, Any]) -> None:
    with database.write() as session:
        costs.answer(session, question, found)


def questions(report: dict[str, Any] = REPORT, recipe: str = "logit", classes: int = 2) -> dict[str, dict[str, Any]]:
    base = {"config": TEACHER["config"], "task": of_report(report), "num_classes": classes, "mean_length": 29,
            "max_length": 112}  # fmt: skip
    student = {"student": {"name": "transformers:auto", "options": {"layers": 2}}, "recipe": recipe}
    return {"student": base | student, "teacher": base}


@pytest.mark.usefixtures("language")
def test_every_figure_has_a_range_and_a_basis(client: TestClient, driver: Driver, database: Database) -> None:
    for question in questions().values():
        answered(database, question, {"cost": COST})
    estimates = client.post("/jobs?dry_run=true", json=body(driver)).json()["estimates"]
    for name in ("memory_bytes", "disk_bytes", "minutes"):
        assert 0 < estimates[name]["low"] < estimates[name]["value"] < estimates[name]["high"], name
    assert any("tokens are guessed" in note for note in estimates["notes"])


@pytest.mark.usefixtures("language")
def test_a_base_is_only_started_from(client: TestClient, driver: Driver, database: Database) -> None:
    """Without a head for these classes it is no teacher, and nobody needs to count it."""
    answered(database, questions(recipe="cross_entropy")["student"], {"cost": COST})
    asked = body(driver, teacher=TEACHER | {"num_classes": 0}, recipe="cross_entropy")
    assert client.post("/jobs?dry_run=true", json=asked).json()["estimates"]["minutes"]["value"] > 0


@pytest.mark.usefixtures("language")
@pytest.mark.parametrize(
    ("report", "teacher", "said"),
    [
        (REPORT, {key: value for key, value in TEACHER.items() if key != "config"}, "The teacher was inspected by an"),
        ({key: value for key, value in REPORT.items() if key != "mean_words"}, TEACHER, "The dataset was inspected"),
        (REPORT, TEACHER, "No worker has measured these networks yet"),
    ],
)
def test_what_cannot_be_known_is_null_with_the_reason(
    report: dict[str, Any], teacher: dict[str, Any], said: str, client: TestClient, driver: Driver
) -> None:
    estimates = client.post("/jobs?dry_run=true", json=body(driver, report, teacher)).json()["estimates"]
    assert [estimates[name] for name in ("memory_bytes", "disk_bytes", "minutes")] == [None] * 3
    assert said in estimates["notes"][0]


@pytest.mark.usefixtures("language")
def test_a_student_that_cannot_be_made_is_refused(client: TestClient, driver: Driver, database: Database) -> None:
    error = {"code": "invalid_config", "message": "No such width.", "remedy": "Another.", "fault": "user"}
    answered(database, questions()["student"], {"error": error | {"retryable": False, "details": {}}})
    assert pointers(problem(client.post("/jobs?dry_run=true", json=body(driver)), 422, "invalid_config")) == {
        "/student"
    }


@pytest.mark.usefixtures("language")
@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"config": CONFIG | {"augmentation": "crop_flip"}}, "/config/augmentation", "invalid_config"),
        ({"config": CONFIG | {"image_size": 32}}, "/config/image_size", "invalid_config"),
        ({"student": {"name": "transformers:auto", "options": {"depth": 2}}}, "/student/options/depth", None),
        ({"student": {"name": "transformers:auto", "options": {"layers": 0}}}, "/student/options/layers", None),
        ({"student": "retort:resnet8"}, "/student", "kinds_differ"),
        ({"teacher": None, "config": CONFIG | {"recipe": "cross_entropy"}}, "/teacher", "teacher_required"),
    ],
)
def test_what_texts_do_not_have_is_refused_where_it_stands(
    change: dict[str, Any], pointer: str, code: str | None, client: TestClient, driver: Driver
) -> None:
    answer = client.post("/jobs", json=body(driver) | change)
    assert pointers(problem(answer, 422, code or "invalid_config")) == {pointer}


@pytest.mark.usefixtures("language")
def test_an_encoder_cannot_follow_instructions(client: TestClient, driver: Driver) -> None:
    answer = client.post("/jobs", json=body(driver, INSTRUCTIONS))
    assert pointers(problem(answer, 422, "kinds_differ")) == {"/teacher"}
    decoder = TEACHER | {"generates": True, "num_classes": 0}
    assert client.post("/jobs", json=body(driver, INSTRUCTIONS, decoder)).status_code == 202


def test_images_have_no_maximal_length(client: TestClient, driver: Driver) -> None:
    config = {"recipe": "cross_entropy", "max_length": 64}
    answer = client.post("/jobs", json={"dataset": driver.dataset(), "student": "retort:resnet8", "config": config})
    assert pointers(problem(answer, 422, "invalid_config")) == {"/config/max_length"}


@given(st.floats(0.5, 1e5), st.integers(1, 10**6), st.sampled_from(["auto", 8, 64, 4096]))
def test_lengths_are_within_what_the_job_may_choose(mean: float, most: int, given: Any) -> None:
    found = text_forecast.lengths(
        {"mean_words": mean, "words_99": most}, DistillConfig.model_validate({"max_length": given})
    )
    assert 1 <= found.mean <= found.most
    assert found.most == given if given != "auto" else found.most <= 512
    assert found.most % 8 == 0


SMALL = st.integers(1, 10**6)
COSTS = st.builds(NetworkCost, SMALL, st.integers(1, 10**9), st.integers(8, 10**7), st.integers(1, 500))
TEXTS = st.builds(SampleWork, st.just(100), SMALL, SMALL, SMALL, SMALL, st.floats(0, 1e4))


@given(COSTS, st.none() | COSTS, st.booleans(), SMALL, SMALL, SMALL, TEXTS)
def test_texts_cost_at_least_something_and_answers_more(
    student: NetworkCost, teacher: NetworkCost | None, layers: bool, train: int, held: int, test: int, found: SampleWork
) -> None:
    config = DistillConfig.model_validate({"recipe": "logit", "cache_memory_bytes": 10**9})
    plain = Workload(config, student, teacher, layers, train, held, test, SampleWork(100, features=1), 1)
    more = replace(plain, sample=found)
    for figure in (training_flops, other_flops, memory_bytes, disk_bytes):
        assert figure(more) >= figure(plain) > 0


@pytest.mark.parametrize(
    ("size", "report", "told", "config", "pointer"),
    [
        (36, REPORT, {"smallest_vocabulary": 37, "vocabulary": 600}, {}, "/student/options/vocab_size"),
        (601, REPORT, {"smallest_vocabulary": 37, "vocabulary": 600}, {}, "/student/options/vocab_size"),
        (200, REPORT, {"smallest_vocabulary": 0, "vocabulary": 600}, {}, "/student/options/vocab_size"),
        (200, INSTRUCTIONS, {"generates": True}, {}, "/student/options/vocab_size"),
        (200, REPORT, {"smallest_vocabulary": 37}, {"text_features": "tokens"}, "/config/text_features"),
        (200, REPORT, {"smallest_vocabulary": 37, "vocabulary": 600}, {}, None),
        (200, REPORT, {}, {}, None),
    ],
    ids=["too few", "too many", "of merges", "decoder", "token by token", "fits", "inspected by an earlier release"],
)  # fmt: skip
@pytest.mark.usefixtures("language")
def test_a_vocabulary_that_the_teacher_does_not_allow_is_refused_at_once(
    client: TestClient, driver: Driver, size: int, report: dict[str, Any], told: dict[str, Any],
    config: dict[str, Any], pointer: str | None,
) -> None:  # fmt: skip
    asked = body(driver, report, TEACHER | told, **config)
    asked["student"]["options"]["vocab_size"] = size
    answer = client.post("/jobs?dry_run=true", json=asked, headers={"Prefer": "wait=0"})
    if pointer is None:
        assert answer.status_code == 200, answer.text
    else:
        assert pointers(problem(answer, 422, "invalid_config")) == {pointer}


LLAMA: dict[str, Any] = {
    "num_classes": 0, "generates": True, "family": "llama", "layers": 6, "width": 64, "heads": 8, "vocabulary": 100,
    "config": {"model_type": "llama", "intermediate_size": 100, "num_key_value_heads": 4, "head_dim": 8},
    "architecture": {"name": "transformers:llama", "options": {}},
}  # fmt: skip
BERT = LLAMA | {"family": "bert", "generates": False, "num_classes": 2, "config": {"model_type": "bert"}}


def cut_out(client: TestClient, driver: Driver, report: dict[str, Any], teacher: dict[str, Any], **prune: Any) -> Any:
    asked = body(driver, report, teacher) | {"student": {"prune": prune}}
    return client.post("/jobs?dry_run=true", json=asked, headers={"Prefer": "wait=0"})


@pytest.mark.usefixtures("language")
@pytest.mark.parametrize(
    ("prune", "options"),
    [
        ({"blocks": 0.5}, {"layers": 3}),
        ({"ratio": 0.5}, {"layers": 6, "inner": 48, "heads": 4, "head_width": 8}),
        ({"ratio": 0.9, "blocks": 0.99, "round_to": 1}, {"layers": 1, "inner": 10, "heads": 2, "head_width": 8}),
    ],
)
def test_a_language_model_is_cut_by_the_words_of_pictures(
    client: TestClient, driver: Driver, prune: dict[str, Any], options: dict[str, Any]
) -> None:
    """Of 8 heads on 4 of keys and values two go together; hidden units are a multiple of `round_to`."""
    found = cut_out(client, driver, INSTRUCTIONS, LLAMA, **prune)
    assert found.status_code == 200, found.text
    assert found.json()["student"] == {"name": "transformers:auto", "options": options}


@pytest.mark.usefixtures("language")
@pytest.mark.parametrize(
    ("prune", "options"), [({"ratio": 0.5}, {"layers": 6, "inner": 128}), ({"blocks": 0.3}, {"layers": 4})]
)
def test_a_classifier_of_texts_too(
    client: TestClient, driver: Driver, prune: dict[str, Any], options: dict[str, Any]
) -> None:
    found = cut_out(client, driver, REPORT, BERT, **prune)
    assert found.status_code == 200, found.text
    assert found.json()["student"]["options"] == options


@pytest.mark.usefixtures("language")
def test_what_cannot_be_cut_is_refused(client: TestClient, driver: Driver) -> None:
    found = cut_out(client, driver, REPORT, BERT, ratio=0.5, importance="bn_scale")
    assert problem(found, 422, "invalid_config")["details"]["importance"] == "bn_scale"
    found = cut_out(client, driver, REPORT, BERT | {"layers": 1}, blocks=0.5)
    assert problem(found, 422, "invalid_config")["details"]["layers"] == 1
    asked = body(driver, REPORT, BERT)
    other = driver.teacher(architecture={"name": "transformers:auto", "options": {}}, report=BERT, sha256="b" * 64)
    asked["student"] = {"prune": {"ratio": 0.5, "teacher": other}}
    document = problem(client.post("/jobs", json=asked), 422, "invalid_config")
    assert pointers(document) == {"/student/prune/teacher"}
