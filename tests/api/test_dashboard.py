"""The dashboard's files beside the API: pages, assets, caching, and nothing of the API shadowed."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.dashboard import mount_dashboard, mount_docs
from tests.api.conftest import BASE_URL

INDEX, SCRIPT = "<!doctype html><title>Retort</title>", "export const answer = 42;"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text(INDEX)
    (built / "assets" / "index-abc.js").write_text(SCRIPT)
    (built / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT.encode(), mtime=0))
    (tmp_path / "secret.txt").write_text("not yours")
    return built


@pytest.fixture
def site(app: FastAPI, folder: Path) -> TestClient:
    # The app may have a build of its own mounted already; the first route of a path answers.
    app.router.routes = [route for route in app.router.routes if not _ours(getattr(route, "path", ""))]
    assert mount_dashboard(app, folder)
    return TestClient(app, base_url=BASE_URL, follow_redirects=False)


def _ours(path: str) -> bool:
    return path == "/" or path.startswith("/ui")


@pytest.mark.parametrize("path", ["/ui/", "/ui/jobs/job_01", "/ui/new"])
def test_every_page_is_the_one_document(site: TestClient, path: str) -> None:
    answer = site.get(path)
    assert answer.text == INDEX
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_assets_are_kept_forever_and_sent_compressed(site: TestClient) -> None:
    answer = site.get("/ui/assets/index-abc.js", headers={"Accept-Encoding": "gzip"})
    assert (answer.text, answer.headers["content-encoding"]) == (SCRIPT, "gzip")
    assert "immutable" in answer.headers["cache-control"]
    plain = site.get("/ui/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert (plain.text, "content-encoding" in plain.headers) == (SCRIPT, False)
    assert plain.headers["content-type"].startswith("text/javascript")
    assert plain.headers["vary"] == "Accept-Encoding"


def test_who_has_it_gets_304(site: TestClient) -> None:
    etag = site.get("/ui/").headers["etag"]
    assert site.get("/ui/", headers={"If-None-Match": etag}).status_code == 304


def test_head_answers_as_get_without_a_body(site: TestClient) -> None:
    answer = site.head("/ui/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/ui/assets/gone.js",
        "/ui/gone.png",
        "/ui/..%2fsecret.txt",
        "/ui/%2e%2e/secret.txt",
        "/ui/assets/..%5c..%5csecret.txt",
    ],
)
def test_what_is_no_file_of_the_build_is_404(site: TestClient, path: str) -> None:
    answer = site.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_browsers_are_led_from_the_root_and_programs_are_not(site: TestClient) -> None:
    answer = site.get("/", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui/")
    assert site.get("/ui", headers=HTML).headers["location"] == "/ui/"
    assert site.get("/", headers={"Accept": "application/json"}).status_code == 404


def test_no_path_of_the_api_is_shadowed(site: TestClient) -> None:
    with site:
        answer = site.get("/jobs", headers=HTML)
    assert answer.json()["items"] == []


def test_without_a_build_there_is_nothing(tmp_path: Path) -> None:
    app = FastAPI()
    before = len(app.router.routes)
    assert not mount_dashboard(app, tmp_path)
    assert len(app.router.routes) == before


def test_the_api_description_does_not_list_pages(site: TestClient, app: FastAPI) -> None:
    assert not [path for path in app.openapi()["paths"] if _ours(path)]


def test_uploads_may_go_to_the_store_and_nowhere_else(app: FastAPI, folder: Path) -> None:
    app.router.routes = [route for route in app.router.routes if not _ours(getattr(route, "path", ""))]
    assert mount_dashboard(app, folder, store_url="https://objects.example.org:9000/base")
    policy = TestClient(app, base_url=BASE_URL).get("/ui/").headers["content-security-policy"]
    assert "connect-src 'self' https://objects.example.org:9000; base-uri" in policy


def test_without_a_store_that_clients_reach_pages_talk_to_the_service_only(site: TestClient) -> None:
    assert "connect-src 'self';" in site.get("/ui/").headers["content-security-policy"]


class TestDocs:
    @pytest.fixture
    def bare(self, app: FastAPI) -> FastAPI:
        app.router.routes = [route for route in app.router.routes if getattr(route, "path", "") != "/docs"]
        return app

    def test_come_from_the_build(self, bare: FastAPI, folder: Path) -> None:
        (folder / "docs").mkdir()
        (folder / "docs" / "index.html").write_text("<!doctype html>")
        mount_docs(bare, folder)
        answer = TestClient(bare, base_url=BASE_URL, follow_redirects=False).get("/docs")
        assert (answer.status_code, answer.headers["location"]) == (307, "/ui/docs/index.html")

    def test_without_a_build_they_are_a_link(self, bare: FastAPI, tmp_path: Path) -> None:
        mount_docs(bare, tmp_path)
        answer = TestClient(bare, base_url=BASE_URL).get("/docs")
        assert "/openapi.json" in answer.text
        assert "http" not in answer.text  # nothing from elsewhere
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_the_documentation_asks_nothing_of_the_internet() -> None:
    page = Path("web/public/docs/index.html").read_text()
    assert re.findall(r'(?:src|href)="(?!/)', page) == []
    assert "<script>" not in page
    assert "style=" not in page
