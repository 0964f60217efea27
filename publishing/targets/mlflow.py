"""A run on an MLflow tracking server: parameters, the metric history, the files, and a registered model.

The run is found again by the publication's id, a tag, so an attempt after a crash goes on with it. Metrics have the
step and the time at which they came. Before the first are sent, the run is asked which it has: no step is added twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from distill.errors import RetortError
from publishing.bundle import Bundle, BundleMetric, Outline
from publishing.errors import TargetRefused, TargetUnavailable, of_status
from publishing.mlflow_model import describe
from publishing.targets._base import Delivered, LiveTarget, Say

PARAMETERS = {
    "tracking_uri": {"type": "string", "format": "uri", "description": "URL of the tracking server."},
    "experiment": {"type": "string", "pattern": "[^\x00]{1,200}", "default": "retort", "description": "Experiment."},
    "run_name": {
        "type": "string", "pattern": "[^\x00]{0,200}", "default": "",
        "description": "Name of the run; empty: the job's.",
    },
    "model": {
        "type": "string", "pattern": "[^/:\x00]{0,200}", "default": "",
        "description": "Name under which the model is registered; empty: it is not.",
    },
}  # fmt: skip
CREDENTIALS = {
    "token": {"description": "Bearer token, where the server wants one."},
    "username": {"description": "Of basic authentication."},
    "password": {"description": "Of basic authentication."},
}
WHAT = "The MLflow server"
LIVE = True
PUBLICATION, RETRIES = "retort.publication", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
ENDED = {"failed": "FAILED", "cancelled": "KILLED"}
MOST_METRICS, MOST_PARAMETERS, VALUE_CHARACTERS = 500, 100, 6000
FOLDER = "model"


class MLflow(LiveTarget):
    libraries = ("mlflow", "databricks")
    _client: Any
    _run: Any
    _sent: set[tuple[str, int]]
    _untold = 0.0  # the time of a row whose own is not known any more

    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        receipt = self.open(bundle)
        say(f"run {receipt['run_id']} of experiment {self.parameters['experiment']!r}")
        self.log(bundle.metrics)
        with _explained():
            client, run_id = self._client, receipt["run_id"]
            client.log_artifacts(run_id, str(describe(bundle, bundle.folder.parent / "mlflow")), FOLDER)
            client.set_terminated(run_id, "FINISHED", end_time=_ms(bundle.finished_at.timestamp()))
            version = self._register(client, self._run)
        return Delivered(receipt | {"model_version": version, "model": self.parameters["model"] or None})

    def open(self, outline: Outline) -> dict[str, Any]:
        self._configure()
        from mlflow import MlflowClient

        self._untold = (outline.finished_at if isinstance(outline, Bundle) else outline.started_at).timestamp()
        with _explained():
            self._client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
            self._run = self._found_or_made(outline)
            self._sent = _there(self._client, self._run)
            self.settle(outline)
        return self._receipt()

    def settle(self, outline: Outline) -> None:
        with _explained():
            _log_parameters(self._client, self._run, outline)

    def log(self, rows: Sequence[BundleMetric]) -> None:
        from mlflow.entities import Metric

        items = [
            Metric(f"{row.split}/{name}", value, _ms(row.at or self._untold), row.step)
            for row in rows
            for name, value in row.values.items()
            if value is not None
        ]
        run_id = self._run.info.run_id
        new = [each for each in items if (each.key, each.step) not in self._sent]
        with _explained(), _once():
            for first in range(0, len(new), MOST_METRICS):
                batch = new[first : first + MOST_METRICS]
                self._client.log_batch(run_id, metrics=batch)
                self._sent |= {(each.key, each.step) for each in batch}

    def end(self, status: Literal["failed", "cancelled"]) -> dict[str, Any]:
        with _explained():
            self._client.set_terminated(self._run.info.run_id, ENDED[status])
        return self._receipt()

    @property
    def _uri(self) -> str:
        return str(self.parameters["tracking_uri"]).rstrip("/")

    def _receipt(self) -> dict[str, Any]:
        info = self._run.info
        url = f"{self._uri}/#/experiments/{info.experiment_id}/runs/{info.run_id}"
        return {"experiment_id": info.experiment_id, "run_id": info.run_id, "url": url}

    def _configure(self) -> None:
        """The client reads its credentials and limits from the environment, which is this process's alone."""
        for name in ("token", "username", "password"):
            if name in self.credentials:
                os.environ[f"MLFLOW_TRACKING_{name.upper()}"] = self.credentials[name]
        os.environ |= {RETRIES: "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
                       "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}  # fmt: skip

    def _found_or_made(self, outline: Outline) -> Any:
        """The run of this publication, made if there is none; one that was ended goes on."""
        client, name = self._client, self.parameters["experiment"]
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found is not None else client.create_experiment(name)
        known = client.search_runs([experiment], f"tags.`{PUBLICATION}` = '{outline.publication}'", max_results=1)
        if known:
            if known[0].info.status != "RUNNING":
                client.update_run(known[0].info.run_id, status="RUNNING")
            return known[0]
        tags = {PUBLICATION: outline.publication, "retort.job": outline.job}
        return client.create_run(
            experiment, start_time=_ms(outline.started_at.timestamp()), tags=tags,
            run_name=self.parameters["run_name"] or outline.title,
        )  # fmt: skip

    def _register(self, client: Any, run: Any) -> str | None:
        """The version of the registered model that this run is; None where none is wanted."""
        name = self.parameters["model"]
        if not name:
            return None
        if not client.search_registered_models(f"name = '{_quoted(name)}'"):
            client.create_registered_model(name)
        run_id = run.info.run_id
        known = [each for each in client.search_model_versions(f"name = '{_quoted(name)}'") if each.run_id == run_id]
        made = known[0] if known else client.create_model_version(name, f"{run.info.artifact_uri}/{FOLDER}", run_id)
        return str(made.version)


def _quoted(name: str) -> str:
    return name.replace("'", "''")


def _there(client: Any, run: Any) -> set[tuple[str, int]]:
    """Metric and step of every value that the run has."""
    histories = [client.get_metric_history(run.info.run_id, key) for key in run.data.metrics]
    return {(each.key, each.step) for history in histories for each in history}


@contextmanager
def _once() -> Iterator[None]:
    """The client does not repeat by itself a request whose answer was lost: some servers would add its rows twice."""
    before = os.environ[RETRIES]
    os.environ[RETRIES] = "0"
    try:
        yield
    finally:
        os.environ[RETRIES] = before


def _log_parameters(client: Any, run: Any, outline: Outline) -> None:
    """Those that the run lacks: the server takes no second value. Before the configuration is settled those that no run
    changes, which is what has a value of its own that is no `auto`."""
    from mlflow.entities import Param

    told = {"recipe": outline.recipe, "student": outline.student.get("name", "")}
    told |= {name: value for name, value in outline.config.items() if name != "recipe"}
    if not outline.settled:
        told = {name: value for name, value in told.items() if _final(value)}
    there = client.get_run(run.info.run_id).data.params
    items = [Param(name, str(value)[:VALUE_CHARACTERS]) for name, value in told.items() if name not in there]
    for first in range(0, len(items), MOST_PARAMETERS):
        client.log_batch(run.info.run_id, params=items[first : first + MOST_PARAMETERS])


def _final(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str)) and value != "auto"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


@contextmanager
def _explained() -> Iterator[None]:
    import requests
    from mlflow.exceptions import MlflowException, RestException

    answered = _Answered()
    try:
        with answered:
            yield
    except RestException as error:
        status = answered.status if answered.status >= 400 else error.get_http_status_code()
        raise of_status(status, str(error.message), WHAT) from error
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 503
        raise of_status(status, str(error.args[0])[:200] if error.args else "", WHAT) from error
    except requests.RequestException as error:
        raise _silent(error) from error
    except MlflowException as error:
        raise _of_client(error) from error


class _Answered:
    """Inside, the status of the last answer is kept. The client reads it out of the body where that is JSON, and takes
    one without its own error codes, as a gate in front of the server writes it, for an error of the server's."""

    status = 0

    def __enter__(self) -> None:
        import requests

        self._send = send = requests.Session.send

        def kept(*arguments: Any, **more: Any) -> requests.Response:
            answer = send(*arguments, **more)
            self.status = answer.status_code
            return answer

        requests.Session.send = kept

    def __exit__(self, *_: object) -> None:
        import requests

        requests.Session.send = self._send


def _of_client(error: Any) -> RetortError:
    """The client wraps a connection that failed and an answer that is no JSON into one class; the cause tells."""
    import requests

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, RetortError):
            return cause
        if isinstance(cause, requests.HTTPError) and cause.response is not None:
            return of_status(cause.response.status_code, "", WHAT)
        if isinstance(cause, requests.RequestException):
            return _silent(cause)
        cause = cause.__cause__ or cause.__context__
    status = _status_in(str(error))
    if status is not None:
        return of_status(status, "", WHAT)
    if "API request to" in str(error) and "failed with exception" in str(error):
        return _silent(error)
    return TargetRefused(f"{WHAT} cannot be used so: {str(error)[:300]}", "Correct the parameters.")


def _status_in(text: str) -> int | None:
    """ "API request to endpoint /... failed with error code 401 != 200." """
    _, found, rest = text.partition("failed with error code ")
    number = rest[:3]
    return int(number) if found and number.isdecimal() else None


def _silent(error: BaseException) -> TargetUnavailable:
    remedy = "Nothing is lost: retry when it answers again."
    return TargetUnavailable(f"{WHAT} does not answer: {type(error).__name__}.", remedy)


ENTRY = MLflow
