"""The dashboard's types come from our OpenAPI: the copy that they are generated from is the API's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from PIL import Image

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


def test_the_page_of_exports_is_tested_with_what_pillow_gives() -> None:
    for case in json.loads((WEB / "src" / "page" / "pillow.json").read_text()):
        given, (width, height) = case["picture"], case["size"]
        pixels = np.array(given["data"], np.uint8).reshape(given["height"], given["width"], 3)
        how = Image.Resampling[case["how"].upper()]
        found = Image.fromarray(pixels).resize((width, height), how, box=case["box"])
        assert np.asarray(found).flatten().tolist() == case["wanted"]
