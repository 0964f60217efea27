"""Write the API's OpenAPI document to web/openapi.json, from which the dashboard's types are generated."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from api.app import create_app
from store.settings import Settings

with tempfile.TemporaryDirectory() as folder:
    document = create_app(Settings(data_dir=Path(folder))).openapi()
Path(__file__).parents[1].joinpath("openapi.json").write_text(json.dumps(document, indent=1) + "\n")
