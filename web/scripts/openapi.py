"""Write the API's OpenAPI document to web/openapi.json, from which the dashboard's types are generated, and its tasks
to web/src/testing/tasks.json, with which the dashboard is tested."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from api.app import create_app
from distill import tasks
from store.settings import Settings

WEB = Path(__file__).parents[1]

with tempfile.TemporaryDirectory() as folder:
    document = create_app(Settings(data_dir=Path(folder))).openapi()
(WEB / "openapi.json").write_text(json.dumps(document, indent=1) + "\n")
known = [spec.to_dict() for spec in tasks.specs()]
(WEB / "src" / "testing" / "tasks.json").write_text(json.dumps(known, indent=1) + "\n")
