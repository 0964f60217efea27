"""A local server that speaks MLflow's tracking protocol as far as publications use it, and keeps what arrives.

It adds every value that it is sent, as a server over files does: what comes twice is there twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.publishing.http_server import JsonHandler, served

API, FILES = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/artifacts/"
Json = dict[str, Any]


@dataclass
class Run:
    status: str = "RUNNING"
    name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Json] = field(default_factory=list)

    def values(self, key: str) -> list[tuple[int, float]]:
        """Step and value, as they came."""
        return [(each["step"], each["value"]) for each in self.metrics if each["key"] == key]


@dataclass
class MLflow:
    """`down`: every request is answered with 503. `losing`: of how many of the next batches of metrics the answer is
    lost on its way, though they are kept. `refusing`: credentials are not known."""

    url: str = ""
    down: bool = False
    refusing: bool = False
    losing: int = 0
    asked: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    models: list[Json] = field(default_factory=list)

    def answer(self, endpoint: str, body: Json) -> Json | None:
        """None: no answer."""
        run = self.runs[int(body["run_id"])] if body.get("run_id") else None
        if endpoint in ("experiments/get-by-name", "experiments/create"):
            return {"experiment": {"experiment_id": "7", "name": "retort"}, "experiment_id": "7"}
        if endpoint == "runs/search":
            wanted = body["filter"].split("'")[1]
            return {"runs": [self.shown(each) for each in self.runs if wanted in each.tags.values()]}
        if endpoint == "runs/create":
            tags = {each["key"]: each["value"] for each in body["tags"]}
            self.runs.append(Run(name=body["run_name"], tags=tags))
            return {"run": self.shown(self.runs[-1])}
        if endpoint.startswith(("registered-models/", "model-versions/")):
            return self._model(endpoint, body)
        assert run is not None, endpoint
        return self._of_run(endpoint, run, body)

    def _of_run(self, endpoint: str, run: Run, body: Json) -> Json | None:
        if endpoint == "runs/get":
            return {"run": self.shown(run)}
        if endpoint == "metrics/get-history":
            return {"metrics": [each for each in run.metrics if each["key"] == body["metric_key"]]}
        if endpoint == "runs/update":
            run.status = body.get("status", run.status)
            return {"run_info": self.shown(run)["info"]}
        assert endpoint == "runs/log-batch", endpoint
        new = {each["key"]: each["value"] for each in body.get("params", ())}
        assert all(run.params.get(name, value) == value for name, value in new.items()), "a parameter has one value"
        run.params |= new
        run.metrics += body.get("metrics", ())
        if body.get("metrics") and self.losing:
            self.losing -= 1
            return None
        return {}

    def _model(self, endpoint: str, body: Json) -> Json:
        if endpoint == "model-versions/create":
            version = str(len(self.models) + 1)
            self.models.append({"name": body["name"], "version": version, "run_id": body["run_id"], "status": "READY"})
            return {"model_version": self.models[-1]}
        known = {"registered_models": [{"name": name} for name in {each["name"] for each in self.models}]}
        return known | {"model_versions": self.models, "registered_model": {"name": body.get("name", "")}}

    def shown(self, run: Run) -> Json:
        number = str(self.runs.index(run))
        latest = {each["key"]: each for each in run.metrics}
        info = {"run_id": number, "run_uuid": number, "experiment_id": "7", "status": run.status, "start_time": 1,
                "artifact_uri": f"mlflow-artifacts:/7/{number}", "lifecycle_stage": "active"}  # fmt: skip
        return {"info": info, "data": {"metrics": list(latest.values()), "params": _pairs(run.params),
                                       "tags": _pairs(run.tags)}}  # fmt: skip


def _pairs(values: dict[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in values.items()]


@contextmanager
def running() -> Iterator[MLflow]:
    state = MLflow()

    class Handler(JsonHandler):
        def _serve(self) -> None:
            sent, parts = self.sent(), urlsplit(self.path)
            state.asked.append(parts.path)
            if state.down:
                self.answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "no"})
            elif state.refusing:
                self.send(401, b"You are not authenticated.", "text/plain")
            elif parts.path.startswith(FILES):
                state.files[parts.path.removeprefix(FILES)] = sent
                self.answer(200, {})
            else:
                query: Json = {name: values[0] for name, values in parse_qs(parts.query).items()}
                body = json.loads(sent) if sent else query
                self._finish(state.answer(parts.path.removeprefix(API), body))

        def _finish(self, answer: Json | None) -> None:
            if answer is None:
                self.close_connection = True
            else:
                self.answer(200, answer)

        do_GET = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815 - http.server's own names

    with served(Handler) as state.url:
        yield state
