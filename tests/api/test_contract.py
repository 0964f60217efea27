"""What holds for every path: problems, keys, tenants, loopback, OpenAPI, imports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import SecretStr
from sqlalchemy import delete

from api.app import create_app
from api.errors.codes import OPERATIONS
from api.errors.problems import NotAcceptable, ProblemDocument, Unprocessable
from api.http.negotiation import best, matches, wait_seconds
from api.http.paging import decode, encode
from api.state.context import KEY_SECONDS
from distill import recipes
from distill.labels_needed import refusal
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import FolderStore
from store.repositories import tenants
from store.settings import Settings
from store.tables import ApiKey, Tenant
from tests.api.checks import pointers, problem
from tests.api.conftest import BASE_URL
from tests.api.driver import Driver

KEY = "a-long-and-random-first-key"
OTHER_KEY = "a-long-and-random-other-key"
HEAVY = ("torch", "timm", "torchvision", "transformers", "celery.worker", "celery.apps", "matplotlib", "sklearn")
OURS = (
    "worker",
    "client",
    "embedded",
    "distill.layers",
    "distill.quality",
    "distill.models",
    "distill.data",
    "distill.modalities",
    "distill.run",
)
#: Makes what there is under a name of one's own, so nothing has to be there.
MAKING = {"put_secret"}


def test_importing_the_api_imports_nothing_heavy() -> None:
    code = "import sys, json, api.app; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = json.loads(found.stdout)
    assert "api.app" in modules
    assert [name for name in modules if name.startswith(tuple(f"{heavy}." for heavy in HEAVY + OURS))] == []
    assert [name for name in (*HEAVY, *OURS) if name in modules] == []


def test_unknown_paths_and_methods_are_problems(client: TestClient) -> None:
    problem(client.get("/nothing"), 404, "not_found")
    problem(client.get("/jobs/"), 404)
    for path, methods in {
        "/jobs": "GET, HEAD, POST",
        "/jobs/job_1": "DELETE, GET, HEAD, PATCH",
        "/jobs/1/stop": "POST",
    }.items():
        answer = client.put(path)
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == methods


def test_malformed_json_and_other_bodies_are_problems(client: TestClient) -> None:
    json_type = {"Content-Type": "application/json"}
    document = problem(client.post("/jobs", content=b'{"a": }', headers=json_type), 400, "malformed_json")
    assert "character 6" in document["errors"][0]["message"]
    problem(client.post("/jobs", content=b"a=b", headers={"Content-Type": "text/plain"}), 415)
    assert pointers(problem(client.post("/jobs"), 422)) == {""}
    problem(client.post("/jobs", content=b'"' + b"x" * (1 << 20) + b'"', headers=json_type), 413, None)
    nested = b"[" * 100_000 + b"]" * 100_000
    assert client.post("/jobs", content=nested, headers=json_type).status_code in {400, 422}
    assert client.post("/datasets", content=nested, headers=json_type).status_code in {400, 422}


@pytest.mark.parametrize("path", ["/jobs/%00", "/jobs?label=a:%00", "/jobs/a%00/events"])
def test_nul_in_a_url_is_a_400(client: TestClient, path: str) -> None:
    problem(client.get(path), 400)


def test_what_nobody_foresaw_is_a_500_that_tells_nothing(app: FastAPI) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret")

    with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as client:
        document = problem(client.get("/broken"), 500, "internal")
    assert "secret" not in json.dumps(document)


def test_a_database_that_is_gone_is_a_503(client: TestClient, database: Database, settings: Settings) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "database": "ok", "objects": "ok", "doorbell": "ok"}
    database.close()
    for file in settings.data_dir.glob("retort.db*"):
        file.unlink()
    problem(client.get("/jobs"), 503, "database_unavailable")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"], answer.json()["objects"]) == (503, "not_ready", "ok")
    assert client.get("/livez").json() == {"status": "alive"}


def test_without_keys_only_loopback_is_served(client: TestClient) -> None:
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert client.get("/livez", headers={"Host": host}).status_code == 200
    for host in ("rebound.example", "127.0.0.1.example", "", "localhost.:1@evil"):
        problem(client.get("/livez", headers={"Host": host}), 403, "host_not_allowed")


def test_without_keys_other_origins_may_not_write(client: TestClient, driver: Driver) -> None:
    job_id = driver.job()
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9999"):
        answer = client.post(f"/jobs/{job_id}/cancel", headers={"Origin": origin})
        problem(answer, 403, "origin_not_allowed")
        assert client.get("/jobs", headers={"Origin": origin}).status_code == 200
    assert client.post(f"/jobs/{job_id}/cancel", headers={"Origin": BASE_URL}).status_code == 202


@pytest.fixture
def keyed(
    settings: Settings, database: Database, objects: FolderStore, doorbell: InProcessDoorbell
) -> Iterator[TestClient]:
    """A service with keys and two tenants."""
    app = create_app(settings.model_copy(update={"api_key": SecretStr(KEY)}), database, objects, doorbell)
    with TestClient(app, base_url="http://retort.example", raise_server_exceptions=False) as client:
        with database.write() as session:
            session.add(Tenant(id="tnt_other", name="other"))
            session.flush()
            tenants.ensure_key(session, "tnt_other", "k", OTHER_KEY)
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_keys_open_and_nothing_else_does(keyed: TestClient, database: Database) -> None:
    assert keyed.get("/jobs", headers=bearer(KEY)).status_code == 200
    for headers in ({}, bearer("wrong"), {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}):
        answer = keyed.get("/jobs", headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert keyed.get("/livez").status_code == keyed.get("/readyz").status_code == 200
    with database.read() as session:
        assert KEY not in str(session.query(ApiKey.key_hash).all())
        assert session.query(ApiKey).filter(ApiKey.last_used_at.is_not(None)).count() == 1


def test_a_key_that_is_taken_away_closes(keyed: TestClient, database: Database) -> None:
    assert keyed.get("/jobs", headers=bearer(OTHER_KEY)).status_code == 200
    with database.write() as session:
        session.execute(delete(ApiKey).where(ApiKey.tenant_id == "tnt_other"))
    time.sleep(KEY_SECONDS)  # behind the API's back: it remembers a key for so long
    problem(keyed.get("/jobs", headers=bearer(OTHER_KEY)), 401)


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, spec) for path, item in app.openapi()["paths"].items() for method, spec in item.items()]


def test_every_operation_is_documented(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    names = [spec["operationId"] for _, _, spec in operations(app)]
    assert len(set(names)) == len(names) >= 30
    for path, method, spec in operations(app):
        where = f"{method} {path}"
        assert spec["summary"], where
        assert spec["description"], where
        assert spec["tags"], where
        assert spec["operationId"].isidentifier(), where
        problems = {
            code
            for code, answer in spec["responses"].items()
            if "application/problem+json" in answer.get("content", {})
        }
        assert {"400", "403", "500"} <= problems, where
        if "{" in path and spec["operationId"] not in MAKING:
            assert "404" in problems, where
        if "requestBody" in spec:
            assert {"413", "415", "422"} <= problems, where


def test_every_error_of_every_operation_names_its_codes(app: FastAPI) -> None:
    """With an example of each that its own schema takes; and no code is listed for an operation that is not there."""
    document = app.openapi()
    for path, method, spec in operations(app):
        for status, answer in spec["responses"].items():
            content = answer.get("content", {}).get("application/problem+json")
            if int(status) < 400 or content is None:
                assert int(status) < 400 or path == "/readyz", f"{method} {path} {status}"
                continue
            codes = content["schema"]["allOf"][1]["properties"]["code"]["enum"]
            assert list(content["examples"]) == codes, f"{method} {path} {status}"
            assert len(set(codes)) == len(codes) > 0, f"{method} {path} {status}"
            example = content["examples"][codes[0]]["value"]
            validator = jsonschema.Draft202012Validator(content["schema"] | {"components": document["components"]})
            assert (example["code"], example["status"]) == (codes[0], int(status))
            assert validator.is_valid(example)
            assert not validator.is_valid(example | {"code": "another"})
    assert OPERATIONS.keys() <= {spec["operationId"] for _, _, spec in operations(app)}


def test_the_document_is_valid_openapi_3_1(app: FastAPI) -> None:
    """By the specification's own schema, and every schema in it by JSON Schema 2020-12."""
    document = json.loads(json.dumps(app.openapi()))
    OpenAPIV31SpecValidator(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operation_ids_are_verbs_and_nouns_that_stay(app: FastAPI) -> None:
    """Generated clients name their functions by them: adding one is fine, changing or removing one is not."""
    known = set(Path(__file__).with_name("operation_ids.txt").read_text().split())
    ids = {spec["operationId"] for _, _, spec in operations(app)}
    assert known - ids == set()
    assert ids - known == set(), "add the new ones to tests/api/operation_ids.txt"
    assert [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


def test_every_reference_of_the_document_resolves(app: FastAPI) -> None:
    document = app.openapi()
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"], name


def test_every_json_body_has_an_example_that_validates(app: FastAPI) -> None:
    document = app.openapi()
    checked = 0
    for path, method, spec in operations(app):
        bodies = [spec["requestBody"]] if "requestBody" in spec else []
        for body in [*bodies, *spec["responses"].values()]:
            for media, content in body.get("content", {}).items():
                if media not in {"application/json", "application/problem+json"}:
                    continue
                for example in examples(document, content):
                    schema = content["schema"] | {"components": document["components"]}
                    jsonschema.validate(example, schema)
                    checked += 1
                assert examples(document, content), f"{method} {path} {media}"
    assert checked > 60


def examples(document: dict[str, Any], content: dict[str, Any]) -> list[Any]:
    """Examples of a media type object: its own, its schema's, or put together from the schema's members'."""
    if "example" in content:
        return [content["example"]]
    if "examples" in content:
        return [example["value"] for example in content["examples"].values()]
    return [made(document, content["schema"])]


def made(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "examples" in schema:
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            nullable = {"type": "null"} in schema[union]
            return None if nullable else made(document, schema[union][0])
    if schema.get("type") == "array":
        return [made(document, schema["items"])]
    if schema.get("type") == "object" and "properties" in schema:
        return {name: made(document, member) for name, member in schema["properties"].items()}
    if schema.get("type") == "object":
        return {}
    raise AssertionError(f"no example for {schema}")


def test_the_catalogue_lists_what_jobs_may_use(client: TestClient, driver: Driver) -> None:
    catalogue = client.get("/catalogue").json()
    recipes = {recipe["name"]: recipe for recipe in catalogue["recipes"]}
    assert recipes["feature_only"]["needs_teacher"]
    assert not recipes["cross_entropy"]["needs_teacher"]
    assert recipes["feature_only"]["parameters"]["grid"]["default"] == 2
    assert {"mse", "procrustes"} <= {loss["name"] for loss in catalogue["losses"]}
    assert [dataset["name"] for dataset in catalogue["datasets"]] == ["digits", "fashion-mnist"]
    assert catalogue["architectures"] == 4
    for part in ("recipes", "losses", "selections", "optimizers", "presets", "datasets"):
        assert client.get(f"/catalogue/{part}").json()["items"] == catalogue[part]
    found = client.get("/catalogue/architectures?search=RESNET&limit=3").json()
    assert [item["name"] for item in found["items"]] == ["retort:resnet14", "retort:resnet8", "timm:resnet34"]
    rest = client.get(f"/catalogue/architectures?search=resnet&limit=3&cursor={found['next_cursor']}").json()
    assert ([item["name"] for item in rest["items"]], rest["next_cursor"]) == (["torchvision:resnet18"], None)
    assert client.get("/catalogue/architectures?search=%25").json()["items"] == []


def test_the_catalogue_tells_which_recipes_refuse_data_without_any_label(client: TestClient) -> None:
    told = {entry["name"]: entry["wants_some_labels"] for entry in client.get("/catalogue/recipes").json()["items"]}
    assert told == {name: refusal(name, lambda _: True) is not None for name in recipes.names()}
    assert {name for name, wants in told.items() if wants} == {"cross_entropy", "crd"}


@pytest.mark.parametrize("name", recipes.names())
def test_flags_read_without_torch_are_the_classes_own(name: str) -> None:
    entry = recipes.get(name)
    for flag in ("needs_teacher", "needs_layers", "reads_logits"):
        assert recipes.registry.flag(name, flag, default=True) == getattr(entry, flag)
    assert recipes.needs_labels(name) == entry.needs_labels
    assert recipes.registry.attribute(name, "features_alone", {}) == entry.features_alone
    assert entry.features_alone.keys() <= recipes.registry.parameters(name).keys()


def test_system_tells_version_queue_and_workers(client: TestClient, driver: Driver) -> None:
    driver.job()
    system = client.get("/system").json()
    assert (system["mode"], system["jobs"], system["queue_length"], system["workers"]) == (
        "embedded",
        {"queued": 1},
        1,
        [],
    )
    assert system["version"]


@given(st.from_regex(r"[A-Za-z0-9_.:-]{1,200}", fullmatch=True))
def test_cursors_come_back(position: str) -> None:
    assert decode(encode(position)) == position


@given(st.text(max_size=50))
def test_other_cursors_are_refused_or_harmless(text: str) -> None:
    with suppress(Unprocessable):
        assert decode(text).isascii()


@given(st.text(max_size=80))
@settings(max_examples=200)
def test_any_accept_header_is_understood_or_refused(accept: str) -> None:
    with suppress(NotAcceptable):
        assert best(accept, ["a/b", "c/d"]) in {"a/b", "c/d"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "a/b"), ("", "a/b"), ("*/*", "a/b"), ("c/*", "c/d"), ("a/b;q=0.1, c/d", "c/d"), ("C/D", "c/d"),
        ("*/*, a/b;q=0", "c/d"), ("a/b;q=0.5, c/d;q=0.5", "a/b"), ("c/d;version=1", "c/d"),
    ],
)  # fmt: skip
def test_accept_prefers_as_it_says(accept: str | None, expected: str) -> None:
    assert best(accept, ["a/b", "c/d"]) == expected


def test_prefer_wait_is_read_and_capped() -> None:
    found = [
        wait_seconds(value) for value in (None, "wait=5", "respond-async, wait=10", "Wait = 3", "wait=99999", "wait=x")
    ]
    assert found == [0, 5, 10, 3, 300, 0]


def test_etags_compare_weakly() -> None:
    assert matches('W/"a"', '"a"')
    assert matches('"b", "a"', 'W/"a"')
    assert matches("*", '"a"')
    assert not matches(None, '"a"')
    assert not matches('"b"', '"a"')


def test_a_problem_document_is_what_its_schema_says(client: TestClient) -> None:
    ProblemDocument.model_validate(client.get("/nothing").json(), extra="forbid", by_name=False, by_alias=True)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_json_body_breaks_the_service(client: TestClient, content: Any) -> None:
    for path in ("/jobs", "/studies", "/teachers", "/datasets"):
        raw = json.dumps(content).encode()
        answer = client.post(path, content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}, answer.text
        problem(answer, answer.status_code)


def test_every_code_is_documented() -> None:
    sources = "".join(path.read_text() for path in Path("api").rglob("*.py"))
    codes = set(re.findall(r'code="([a-z_]+)"', sources))
    page = "".join(page.read_text() for page in Path("docs").glob("*.md"))
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []
