"""The dashboard's types come from our OpenAPI: the copy that they are generated from is the API's own."""

from __future__ import annotations

import json
from pathlib import Path

from fastapi import FastAPI

from api.app import create_app
from distill import tasks
from store.settings import Settings

WEB = Path(__file__).parents[2] / "web"
COPY = WEB / "openapi.json"


def test_the_copy_of_the_openapi_document_is_current(tmp_path: Path) -> None:
    app: FastAPI = create_app(Settings(data_dir=tmp_path))
    ours, copied = app.openapi(), json.loads(COPY.read_text())
    for document in (ours, copied):
        document["info"].pop("version")  # the package's, which is not the contract
    assert copied == json.loads(json.dumps(ours)), "run `make web-types` and commit what it changes"


def test_the_dashboard_is_tested_with_the_tasks_that_there_are() -> None:
    copied = json.loads((WEB / "src" / "testing" / "tasks.json").read_text())
    ours = [spec.to_dict() for spec in tasks.specs()]
    assert copied == json.loads(json.dumps(ours)), "run `make web-types` and commit what it changes"
