"""Another tenant's things are not there: on every path that the service has, in both storage modes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from api.app import ROUTERS
from api.http.auth import SAFE
from store.ids import new_id
from store.repositories import outbox, tenants
from store.signing import new_secret
from store.tables import Base, Tenant, Webhook
from store.thumbnails import object_key
from tests.api.checks import pointers, problem
from tests.api.modes import MODES, Service, serving, settings_of
from tests.api.test_contract import examples
from tests.api.test_datasets import LAYOUT, SHEET

OWNER, OTHER = "tnt_owner", "tnt_other"
FIRST_KEY = "a-long-and-random-first-key"
ROUTES = sorted(
    (route.path_format, method) for router in ROUTERS for route in router.routes for method in route.methods
)  # type: ignore[attr-defined]
NAMED = [route for route in ROUTES if "{" in route[0]]
LISTS = [path for path, method in ROUTES if "{" not in path and method == "GET" and path != "/metrics"]


@dataclass
class Two:
    """A service, what one tenant owns in it by the paths' parameter names, and keys of that and of another tenant."""

    service: Service
    owned: dict[str, str]
    owner: dict[str, str]
    other: dict[str, str]

    def request(self, path: str, method: str, headers: dict[str, str], ids: dict[str, str] | None = None) -> Any:
        """With a body that would be right."""
        app: Any = self.service.client.app
        body = app.openapi()["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
        given: dict[str, Any] = {}
        if "application/json" in body:
            given = {"json": examples(app.openapi(), body["application/json"])[0]}
        elif body:
            given = {"content": b"x", "headers": {"Content-Type": next(iter(body))}}
        given["headers"] = given.get("headers", {}) | headers
        return self.service.client.request(method, path.format(**(ids or self.owned)), follow_redirects=False, **given)

    def rows(self) -> dict[str, list[str]]:
        """Everything in the database, but for when keys were used."""
        with self.service.database.read() as session:
            tables = [table for name, table in Base.metadata.tables.items() if name != "api_keys"]
            return {table.name: sorted(map(repr, session.execute(select(table)))) for table in tables}


@pytest.fixture(scope="module", params=MODES)
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("tenants")
    settings = settings_of(request.param, request, folder, api_key=SecretStr(FIRST_KEY), rate_limit_per_second=0)
    with serving(request.param, settings, folder) as service:
        keys = {}
        with service.database.write() as session:
            for tenant in (OWNER, OTHER):
                session.add(Tenant(id=tenant, name=tenant))
                session.flush()
                row, key = tenants.new_key(session, tenant, "k")
                keys[tenant] = (row.id, {"Authorization": f"Bearer {key}"})
        owned = own(service, keys[OWNER][1]) | {"key_id": keys[OWNER][0], "tenant_id": OWNER}
        yield Two(service, owned, keys[OWNER][1], keys[OTHER][1])


RANKING = b'{"items": [], "sheet": null, "measure": "jensen_shannon", "definition": "", "samples": 0, "agreeing": 0}'


def with_sheet(service: Service) -> str:
    """A dataset with thumbnails."""
    dataset_id = service.driver.dataset(OWNER, report={"classes": 10, "thumbnails": LAYOUT})
    (path := service.driver.folder / "sheet").write_bytes(SHEET)
    service.objects.put(object_key(dataset_id), path)
    return dataset_id


def own(service: Service, headers: dict[str, str]) -> dict[str, str]:
    """One of everything. A resource of a new kind is made here, under its path parameter's name."""
    driver = service.driver
    job_id = driver.job(OWNER)
    driver.succeed(job_id, further={"disagreements.json": RANKING})
    upload = {"filename": "f", "size_bytes": 1, "purpose": "teacher"}
    made = service.client.post("/uploads", json=upload, headers=headers)
    with service.database.write() as session:
        session.add(Webhook(id="whk_1", tenant_id=OWNER, url="https://1.1.1.1/", events="*", secret=new_secret()))
        session.flush()
        delivery_id = outbox.add(session, "whk_1", outbox.TEST, {}).id
    export = service.client.post(f"/jobs/{job_id}/exports", json={"format": "onnx"}, headers=headers)
    assert export.status_code == 202, export.text
    study = {
        "base": {"dataset": with_sheet(service), "student": "retort:resnet8", "config": {"recipe": "cross_entropy"}},
        "space": {"/config/learning_rate": {"choices": [1e-3, 1e-2]}},
        "budget": {"trials": 6},
    }
    begun = service.client.post("/studies", json=study, headers=headers)
    assert begun.status_code == 202, begun.text
    return {
        "job_id": job_id,
        "export_id": export.json()["id"],
        "study_id": begun.json()["id"],
        "teacher_id": driver.teacher(OWNER),
        "dataset_id": with_sheet(service),
        "upload_id": made.json()["id"],
        "name": "student.safetensors",
        "number": "1",
        "webhook_id": "whk_1",
        "delivery_id": delivery_id,
    }


@pytest.mark.parametrize(("path", "method"), NAMED)
def test_another_tenants_id_is_a_404_that_changes_nothing(two: Two, path: str, method: str) -> None:
    before = two.rows()
    document = problem(two.request(path, method, two.other), 404, "not_found")
    assert not any(value in document["remedy"] for name, value in two.owned.items() if name.endswith("_id"))
    assert two.rows() == before
    nobodys = {name: value if "_" not in name else new_id(value[:3]) for name, value in two.owned.items()}
    unknown = problem(two.request(path, method, two.other, nobodys), 404)
    assert {document[name] for name in ("title", "code")} == {unknown[name] for name in ("title", "code")}


@pytest.mark.parametrize("path", [path for path, method in NAMED if method == "GET"])
def test_the_owner_finds_the_same(two: Two, path: str) -> None:
    """Or the test above would find nothing for another reason."""
    answer = two.request(path, "GET", two.owner | {"Accept": "*/*"})
    assert answer.status_code in {200, 307}, answer.text


@pytest.mark.parametrize("path", LISTS)
def test_lists_are_of_ones_own(two: Two, path: str) -> None:
    answer = two.service.client.get(path, headers=two.other)
    assert answer.status_code == 200, answer.text
    for name, value in two.owned.items():
        assert not name.endswith("_id") or value not in answer.text


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_without_a_key_nothing_opens(two: Two, path: str, method: str) -> None:
    answer = two.request(path, method, {})
    if path in {"/livez", "/readyz"}:
        assert answer.status_code == 200
    else:
        problem(answer, 401, "unauthorized")


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_a_key_that_may_only_read_changes_nothing(two: Two, path: str, method: str) -> None:
    with two.service.database.write() as session:
        key = {"Authorization": f"Bearer {tenants.new_key(session, OWNER, 'reader', 'read')[1]}"}
    before = two.rows()
    answer = two.request(path, method, key)
    if method not in SAFE or path.startswith("/api-keys") or path == "/metrics":
        problem(answer, 403, "scope_missing")
    else:
        assert answer.status_code in {200, 307}, answer.text
    assert two.rows() == before


def test_another_tenants_ids_in_bodies_are_unknown(two: Two) -> None:
    client, job_id = two.service.client, two.owned["job_id"]
    stolen = {"teacher": two.owned["teacher_id"], "dataset": two.owned["dataset_id"], "student": "retort:resnet8"}
    answer = client.post("/jobs", json=stolen | {"compare_with": job_id}, headers=two.other)
    assert pointers(problem(answer, 422)) == {"/teacher", "/dataset", "/compare_with"}
    artifact = client.post("/teachers", json={"artifact": {"job_id": job_id}}, headers=two.other)
    assert pointers(problem(artifact, 422)) == {"/artifact/job_id"}
    body = {"upload": two.owned["upload_id"], "architecture": "timm:resnet34"}
    assert pointers(problem(client.post("/teachers", json=body, headers=two.other), 422)) == {"/upload"}
    for role in ("upload", "train"):
        dataset = client.post("/datasets", json={role: two.owned["upload_id"]}, headers=two.other)
        assert pointers(problem(dataset, 422)) == {f"/{role}"}


def test_the_operator_sees_every_tenant(two: Two) -> None:
    client, headers = two.service.client, {"Authorization": f"Bearer {FIRST_KEY}"}
    assert {row["id"] for row in client.get("/tenants", headers=headers).json()["items"]} >= {OWNER, OTHER}
    assert client.get(f"/tenants/{OWNER}", headers=headers).json()["used"]["stored_bytes"] > 0
    keys = client.get(f"/api-keys?tenant={OWNER}&limit=200", headers=headers).json()["items"]
    assert two.owned["key_id"] in {key["id"] for key in keys}
    problem(client.get("/api-keys?tenant=tnt_none", headers=headers), 404)
    problem(client.get(f"/api-keys?tenant={OWNER}", headers=two.other), 404)
    problem(client.get(f"/jobs/{two.owned['job_id']}", headers=headers), 404)  # but not into their jobs
