"""Tasks as the API tells and checks them: every one that there is, by its specification alone."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.resources.jobs.measuring import questions
from api.resources.jobs.plan import Plan
from distill import models, recipes, tasks
from distill.tasks import TaskSpec
from distill.tasks.forecast import Forecast, forecast
from distill.types import Architecture, DistillConfig
from store.database import Database
from store.repositories import costs, system
from store.tables import Dataset, Teacher
from tests.api.checks import pointers, problem
from tests.api.driver import Driver

CLASSES = ["a", "b"]
SPLITS = {"counts": {"train": [500, 500], "test": [50, 50]}, "classes": CLASSES}
DATASETS: dict[str, dict[str, Any]] = {
    "images": SPLITS | {"heights": [8, 8, 8], "widths": [8, 8, 8], "modes": {"grey": 1100, "colour": 0}},
    "texts": SPLITS | {"words": [1, 20, 90], "mean_words": 20.0, "words_99": 80},
}
"""What an inspection tells of a dataset, by modality."""
TEACHER: dict[str, Any] = {
    "num_classes": 2, "in_channels": 1, "metadata": {}, "config": {"model_type": "opt"}, "generates": True,
}  # fmt: skip
COST = {"parameters": 10_000, "flops": 1_000_000, "activation_bytes": 40_000, "modules": 20, "features": 64,
        "widest_bytes": 4000, "vocabulary": 100, "max_length": 112}  # fmt: skip
NAMES = tasks.names()


def network(spec: TaskSpec) -> str:
    return spec.student or f"{spec.architectures[0]}net"


@pytest.fixture
def known(driver: Driver, database: Database) -> None:
    """Workers that can build a network of every task."""
    with database.write() as session:
        system.publish(
            session,
            "architecture",
            [{"name": name, "library": ""} for name in {network(spec) for spec in tasks.specs()}],
        )


def of_task(driver: Driver, spec: TaskSpec, **report: Any) -> tuple[str, str]:
    """Ids of a dataset and of a teacher of the task."""
    found = {"task": spec.name} | DATASETS[spec.modality] | report
    architecture = {"name": network(spec), "options": {}}
    teacher = {"architecture": architecture, "report": TEACHER | {"architecture": architecture, "tasks": [spec.name]}}
    return driver.dataset(kind="archive", task=spec.name, report=found), driver.teacher(**teacher)


def body(driver: Driver, spec: TaskSpec, **config: Any) -> dict[str, Any]:
    dataset, teacher = of_task(driver, spec)
    recipe = spec.recipes[0] if spec.recipes else "cross_entropy"
    chosen = {"recipe": recipe, "batch_size": 100} | config
    return {"dataset": dataset, "teacher": teacher, "student": network(spec), "config": chosen}


def test_the_catalogue_is_the_specifications(client: TestClient) -> None:
    listed = client.get("/catalogue/tasks").json()["items"]
    assert [task["name"] for task in listed] == list(NAMES)
    for task, spec in zip(listed, tasks.specs(), strict=True):
        assert task == spec.to_dict() | {"architectures": [*spec.architectures], "recipes": [*spec.recipes],
                                         "augmentations": [*spec.augmentations],
                                         "files": [*spec.files], "reading": [*spec.reading]}  # fmt: skip
    assert client.get("/catalogue").json()["tasks"] == listed


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", NAMES)
def test_a_job_of_the_task_is_taken(name: str, client: TestClient, driver: Driver) -> None:
    answer = client.post("/jobs", json=body(driver, tasks.spec(name)))
    assert (answer.status_code, answer.json()["task"]) == (202, name)
    assert client.get("/jobs").json()["items"][0]["task"] == name
    assert client.get("/datasets").json()["items"][0]["task"] == name


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", NAMES)
def test_networks_of_other_tasks_are_refused_by_name(name: str, client: TestClient, driver: Driver) -> None:
    spec = tasks.spec(name)
    others = [other for other in tasks.specs() if name not in tasks.accepting(network(other))]
    assert others, "no task has networks of its own"
    for other in others:
        _, teacher = of_task(driver, other)
        found = client.post("/jobs", json=body(driver, spec) | {"teacher": teacher, "student": network(other)})
        assert pointers(problem(found, 422, "kinds_differ")) == {"/teacher", "/student"}
        assert other.title in found.text


def others_augmentations() -> list[tuple[str, str]]:
    every = sorted({name for spec in tasks.specs() for name in spec.augmentations})
    having = [spec for spec in tasks.specs() if "augmentation" in spec.settings]
    return [(spec.name, each) for spec in having for each in every if each not in spec.augmentations]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("name", "augmentation"), others_augmentations())
def test_an_augmentation_that_a_task_does_not_offer_is_refused_before_work(
    name: str, augmentation: str, client: TestClient, driver: Driver
) -> None:
    """Masks and boxes would stay where they were."""
    asked = body(driver, tasks.spec(name), augmentation=augmentation)
    answer = client.post("/jobs", json=asked)
    assert pointers(problem(answer, 422, "invalid_config")) == {"/config/augmentation"}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", NAMES)
def test_a_teacher_whose_files_answer_another_task_is_refused(name: str, client: TestClient, driver: Driver) -> None:
    """Its architecture could answer this one; what was found in its files does not."""
    spec = tasks.spec(name)
    dataset, _ = of_task(driver, spec)
    architecture = {"name": network(spec), "options": {}}
    teacher = driver.teacher(architecture=architecture, report=TEACHER | {"tasks": ["another"]})
    asked = body(driver, spec) | {"dataset": dataset, "teacher": teacher}
    assert pointers(problem(client.post("/jobs", json=asked), 422, "kinds_differ")) == {"/teacher"}


@pytest.mark.parametrize(("options", "wrong"), [
    ({"width": 0}, "width"), ({"backbone": "resnet19"}, "backbone"), ({"backbone": 3}, "backbone"),
    ({"depth": 3}, "depth"), ({"width": 16, "backbone": "resnet34"}, ""), ({"backbone": "timm:resnet34.a1_in1k"}, ""),
])  # fmt: skip
def test_options_of_our_own_networks_are_checked_before_a_worker_sees_them(
    client: TestClient, driver: Driver, database: Database, options: dict[str, Any], wrong: str
) -> None:
    """As a worker publishes them."""
    with database.write() as session:
        ours = [entry for entry in models.catalogue() if entry["library"] == "retort"]
        system.publish(session, "architecture", [*ours, {"name": "timm:resnet34", "library": "timm"}])
    asked = body(driver, tasks.spec("segment_images")) | {"student": {"name": "retort:fpn", "options": options}}
    answer = client.post("/jobs", json=asked)
    if wrong:
        assert pointers(problem(answer, 422)) == {f"/student/options/{wrong}"}
    else:
        assert answer.status_code == 202, answer.text


def other_settings() -> list[tuple[str, str]]:
    every = sorted({setting for spec in tasks.specs() for setting in spec.settings})
    return [(spec.name, setting) for spec in tasks.specs() for setting in every if setting not in spec.settings]


VALUES: dict[str, Any] = {
    "augmentation": "crop_flip", "image_size": 32, "channels_last": True, "fit_head": True, "max_length": 64,
    "text_features": "cls", "teacher_classes": "same", "backbone_learning_rate": 1e-4,
    "pseudo_classes": 5, "mixup": 0.2, "cutmix": 0.5, "label_smoothing": 0.1,
    "quality_background": True, "quality_roi_size": 3, "threshold": 0.3, "teacher_weights": [1.0],
    "class_weights": "balanced", "sampling": "balanced", "layer_decay": 0.8, "drop_path": 0.1,
}  # fmt: skip


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("name", "setting"), other_settings())
def test_settings_of_other_tasks_are_refused(name: str, setting: str, client: TestClient, driver: Driver) -> None:
    assert VALUES[setting] != DistillConfig.model_fields[setting].default
    answer = client.post("/jobs", json=body(driver, tasks.spec(name), **{setting: VALUES[setting]}))
    assert pointers(problem(answer, 422, "invalid_config")) == {f"/config/{setting}"}


def test_the_schema_says_which_tasks_a_setting_is_for(client: TestClient) -> None:
    fields = client.get("/openapi.json").json()["components"]["schemas"]["DistillConfig"]["properties"]
    told = {name: set(field["x-tasks"]) for name, field in fields.items() if "x-tasks" in field}
    having = {name: {spec.name for spec in tasks.specs() if name in spec.settings} for name in fields}
    assert told == {name: found for name, found in having.items() if found}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", NAMES)
def test_recipes_that_the_task_does_not_offer_are_refused(
    name: str, client: TestClient, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    given, only = tasks.spec, dataclasses.replace(tasks.spec(name), recipes=("logit",))
    monkeypatch.setattr(tasks, "spec", lambda wanted: only if wanted == name else given(wanted))
    asked = body(driver, given(name), recipe="cross_entropy")
    found = client.post("/jobs", json=asked)
    assert pointers(problem(found, 422, "invalid_config")) == {"/config/recipe"}
    assert "logit" in found.json()["remedy"]
    assert client.post("/jobs", json=asked | {"config": {"recipe": "logit"}}).status_code == 202


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", NAMES)
def test_an_estimate_of_every_task(name: str, client: TestClient, driver: Driver, database: Database) -> None:
    """Its own questions answered, every figure is there; a task without a forecast says that it has none."""
    spec = tasks.spec(name)
    asked = body(driver, spec, recipe="logit" if spec.offers("logit") else spec.recipes[0])
    with database.read() as session:
        teacher, dataset = session.get(Teacher, asked["teacher"]), session.get(Dataset, asked["dataset"])
        assert dataset is not None
        assert teacher is not None
        config = DistillConfig.model_validate(asked["config"])
        wanted = questions(Plan(Architecture(name=network(spec)), (teacher,), dataset), config)
    assert {question["task"] for question in wanted.values()} <= {name}
    with database.write() as session:
        for question in wanted.values():
            costs.answer(session, question, {"cost": COST})
    estimates = client.post("/jobs?dry_run=true", json=asked).json()["estimates"]
    figures = [estimates[figure] for figure in ("memory_bytes", "disk_bytes", "minutes")]
    if type(forecast(name)) is Forecast:
        assert figures == [None] * 3
        assert "No estimate" in estimates["notes"][0]
    else:
        assert set(wanted) == {"student", "teacher"}
        assert all(0 < figure["low"] < figure["value"] < figure["high"] for figure in figures)
        assert set(forecast(name).notes) <= set(estimates["notes"])


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", [spec.name for spec in tasks.specs() if spec.needs_teacher])
def test_a_task_whose_students_start_from_a_teacher_wants_one(name: str, client: TestClient, driver: Driver) -> None:
    free = [recipe for recipe in recipes.names() if not recipes.registry.flag(recipe, "needs_teacher", default=True)]
    asked = body(driver, tasks.spec(name), recipe=free[0]) | {"teacher": None}
    assert pointers(problem(client.post("/jobs", json=asked), 422, "teacher_required")) == {"/teacher"}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", [spec.name for spec in tasks.specs() if spec.defaults])
def test_what_a_configuration_leaves_out_is_the_tasks(name: str, client: TestClient, driver: Driver) -> None:
    spec = tasks.spec(name)
    asked = body(driver, spec, recipe="cross_entropy")
    given = {field: value + 1 for field, value in spec.defaults}
    for named, expected in (({}, dict(spec.defaults)), (given, given)):
        asked["config"] = {"recipe": "cross_entropy"} | named
        told = client.post("/jobs?dry_run=true", json=asked).json()["config"]
        queued = client.post("/jobs", json=asked).json()["config"]
        assert {field: told[field] for field in expected} == expected
        assert {field: queued[field] for field in expected} == expected
    assert not set(dict(spec.defaults)) - set(DistillConfig.model_fields)


@pytest.mark.usefixtures("known")
def test_a_layer_that_the_teacher_lacks_is_refused_before_work(client: TestClient, driver: Driver) -> None:
    """By its place in the list, with the nearest names; as a dry run too."""
    spec = tasks.spec("detect_objects")
    asked = body(driver, spec, recipe="feature_only", teacher_layers=["pyramid", "pyramyd", "stem#2", "neck:input"])
    architecture = {"name": network(spec), "options": {}}
    report = TEACHER | {"architecture": architecture, "tasks": [spec.name], "modules": ["stem", "neck", "pyramid"]}
    asked["teacher"] = driver.teacher(architecture=architecture, report=report)
    for path in ("/jobs?dry_run=true", "/jobs"):
        found = problem(client.post(path, json=asked), 422, "invalid_config")
        assert pointers(found) == {"/config/teacher_layers/1"}
        assert "pyramid" in str(found)
    asked["config"]["teacher_layers"][1] = "stem"
    assert client.post("/jobs", json=asked).status_code == 202


def test_a_prefix_names_what_longer_ones_take_from_it() -> None:
    """`retort:fcos` begins with `retort:`, and is no classifier."""
    for spec in tasks.specs():
        said = tasks.prefixes(spec)
        taken = [p for other in tasks.specs() if other.name != spec.name for p in other.architectures]
        taken = [p for p in taken if p not in spec.architectures and any(p.startswith(q) for q in spec.architectures)]
        assert all(prefix in said for prefix in [*spec.architectures, *taken])
    assert "retort:fcos" in tasks.prefixes(tasks.spec("classify_images"))


OLDER = [(spec.older_kind, spec.name) for spec in tasks.specs() if spec.older_kind is not None]


@pytest.mark.parametrize(("kind", "name"), OLDER)
def test_what_older_releases_inspected_has_its_task_too(
    kind: str, name: str, client: TestClient, driver: Driver
) -> None:
    report = DATASETS[tasks.spec(name).modality] | ({"kind": kind} if kind else {})
    dataset = driver.dataset(kind="table", report=report)
    assert client.get(f"/datasets/{dataset}").json()["task"] == name
    job = driver.job(dataset_id=dataset)
    assert client.get(f"/jobs/{job}").json()["task"] == name
    assert client.get("/jobs").json()["items"][0]["task"] == name


def test_a_dataset_that_is_not_inspected_yet_has_no_task(client: TestClient, driver: Driver) -> None:
    dataset = driver.dataset(status="inspecting", report=None)
    assert client.get(f"/datasets/{dataset}").json()["task"] is None


def test_a_dataset_of_a_task_that_is_gone_is_refused(client: TestClient, driver: Driver) -> None:
    """An extension that is no longer there."""
    dataset = driver.dataset(task="sort_pebbles", report={"task": "sort_pebbles", "classes": CLASSES})
    asked = {"dataset": dataset, "student": "retort:resnet8", "config": {"recipe": "cross_entropy"}}
    assert pointers(problem(client.post("/jobs", json=asked), 422, "kinds_differ")) == {"/dataset"}


@pytest.mark.parametrize("name", NAMES)
def test_a_dataset_may_be_asked_for_by_its_task(name: str, client: TestClient, driver: Driver) -> None:
    form = {"files": {"file": ("a.csv", b"image,label\nx,y\n")}, "data": {"task": name}}
    made = client.post("/datasets", headers={"Prefer": "wait=0"}, **form)  # type: ignore[arg-type]
    assert (made.status_code, made.json()["task"]) == (202, name)
    made = client.post("/datasets", json={"named": "digits", "task": name}, headers={"Prefer": "wait=0"})
    assert (made.status_code, made.json()["task"]) == (202, name)


@pytest.mark.parametrize("task", ["sort_pebbles", "_base", "../x"])
def test_a_task_that_there_is_not_is_refused_before_anything_is_kept(
    task: str, client: TestClient, driver: Driver
) -> None:
    form = {"files": {"file": ("a.csv", b"image,label\nx,y\n")}, "data": {"task": task}}
    for answer in (
        client.post("/datasets", **form),  # type: ignore[arg-type]
        client.post("/datasets", json={"named": "digits", "task": task}),
    ):
        assert problem(answer, 422, "unknown_name")["errors"][0]["pointer"] == "/task"
    assert client.get("/datasets").json()["items"] == []


def test_the_api_asks_tasks_without_torch() -> None:
    """Nor numpy, which a forecast does not need: what the API imports of a task is its specification and forecast."""
    program = (
        "import sys, api.app\n"
        "before = set(sys.modules)\n"
        "from distill import tasks\n"
        "from distill.tasks.forecast import of\n"
        "[of(name) for name in tasks.names()]\n"
        "assert tasks.names()\n"
        "print(sorted({'torch', 'transformers', 'torchvision', 'timm'} & set(sys.modules)),"
        " sorted({'numpy', 'pyarrow', 'PIL'} & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"
