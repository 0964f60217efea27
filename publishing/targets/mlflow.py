"""A run on an MLflow tracking server: parameters, the metric history, the files, and a registered model.

The run is found again by the publication's id, a tag, so an attempt after a crash goes on with it. Metrics have the
step and the time at which they came.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distill.errors import RetortError
from publishing.bundle import Bundle
from publishing.errors import TargetRefused, TargetUnavailable, of_status
from publishing.mlflow_model import describe
from publishing.targets._base import Delivered, Say, Target

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
PUBLICATION, LOGGED = "retort.publication", "retort.metrics_logged"
MOST_METRICS, MOST_PARAMETERS, VALUE_CHARACTERS = 500, 100, 6000
FOLDER = "model"


class MLflow(Target):
    libraries = ("mlflow", "databricks")

    def publish(self, bundle: Bundle, say: Say) -> Delivered:
        self._configure()
        from mlflow import MlflowClient

        uri = self.parameters["tracking_uri"].rstrip("/")
        with _explained():
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            run = self._run(client, bundle)
            say(f"run {run.info.run_id} of experiment {self.parameters['experiment']!r}")
            _log_parameters(client, run.info.run_id, bundle)
            if LOGGED not in run.data.tags:
                _log_metrics(client, run.info.run_id, bundle)
            client.log_artifacts(run.info.run_id, str(describe(bundle, bundle.folder.parent / "mlflow")), FOLDER)
            client.set_terminated(run.info.run_id, "FINISHED", end_time=_ms(bundle.finished_at.timestamp()))
            version = self._register(client, run)
        ids = {"experiment_id": run.info.experiment_id, "run_id": run.info.run_id, "model_version": version}
        url = f"{uri}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        return Delivered(ids | {"model": self.parameters["model"] or None, "url": url})

    def _configure(self) -> None:
        """The client reads its credentials and limits from the environment, which is this process's alone."""
        for name in ("token", "username", "password"):
            if name in self.credentials:
                os.environ[f"MLFLOW_TRACKING_{name.upper()}"] = self.credentials[name]
        os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
                       "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}  # fmt: skip

    def _run(self, client: Any, bundle: Bundle) -> Any:
        """The run of this publication, made if there is none."""
        name = self.parameters["experiment"]
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found is not None else client.create_experiment(name)
        known = client.search_runs([experiment], f"tags.`{PUBLICATION}` = '{bundle.publication}'", max_results=1)
        if known:
            return known[0]
        tags = {PUBLICATION: bundle.publication, "retort.job": bundle.job}
        began = min((row.at for row in bundle.metrics if row.at), default=bundle.finished_at.timestamp())
        return client.create_run(
            experiment, start_time=_ms(began), tags=tags, run_name=self.parameters["run_name"] or bundle.title
        )

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


def _log_parameters(client: Any, run_id: str, bundle: Bundle) -> None:
    from mlflow.entities import Param

    told = {"recipe": bundle.recipe, "student": bundle.student.get("name", "")}
    told |= {name: value for name, value in bundle.config.items() if name != "recipe"}
    items = [Param(name, str(value)[:VALUE_CHARACTERS]) for name, value in told.items()]
    for first in range(0, len(items), MOST_PARAMETERS):
        client.log_batch(run_id, params=items[first : first + MOST_PARAMETERS])


def _log_metrics(client: Any, run_id: str, bundle: Bundle) -> None:
    from mlflow.entities import Metric

    ended = bundle.finished_at.timestamp()
    items = [
        Metric(f"{row.split}/{name}", value, _ms(row.at or ended), row.step)
        for row in bundle.metrics
        for name, value in row.values.items()
        if value is not None
    ]
    for first in range(0, len(items), MOST_METRICS):
        client.log_batch(run_id, metrics=items[first : first + MOST_METRICS])
    client.set_tag(run_id, LOGGED, str(len(items)))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


@contextmanager
def _explained() -> Iterator[None]:
    import requests
    from mlflow.exceptions import MlflowException, RestException

    try:
        yield
    except RestException as error:
        raise of_status(error.get_http_status_code(), str(error.message), WHAT) from error
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 503
        raise of_status(status, str(error.args[0])[:200] if error.args else "", WHAT) from error
    except requests.RequestException as error:
        raise _silent(error) from error
    except MlflowException as error:
        raise _of_client(error) from error


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
