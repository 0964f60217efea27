"""A job in the terminal: its phase, how long it still takes, and the Q curve as it fills."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from client.api import Retort
from client.figures import metrics_of, number
from client.render import bar
from client.types import Event, Job, Metric

WAITING = {"queued": "waiting for a worker", "cancelling": "cancelling", "stopping": "stopping", "pausing": "pausing"}


class Watch:
    """Takes a job's events; shows one bar, with lines above it for what stays. `primary`: the metric of the job's task
    by which the best student is kept."""

    def __init__(self, console: Console, title: str, primary: Metric | None = None) -> None:
        self.console, self.title, self._primary = console, title, primary
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(title, total=1.0, note="")
        self._phase, self._layers, self._scored, self._most = "", 0, 0, 0.0
        self._best = ""

    def __enter__(self) -> Watch:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def see(self, event: Event) -> None:
        """Take one event; kinds without a picture are passed over."""
        show = getattr(self, f"_on_{event['kind']}", None)
        if show is not None:
            show(event["data"])

    def _on_status(self, data: dict[str, Any]) -> None:
        state = data["status"]
        if state == "running" and data.get("attempt", 1) > 1:
            self._say(f"attempt {data['attempt']}: goes on from the last checkpoint")
        self._draw(WAITING.get(state, state), 0.0, "")

    def _on_phase(self, data: dict[str, Any]) -> None:
        self._phase = data["phase"]
        self._draw(self._phase, 0.0, "")

    def _on_layers(self, data: dict[str, Any]) -> None:
        self._layers, self._scored, self._most = data["total_layers"], 0, 0.0
        of = f" of teacher {data['teacher'] + 1}" if "teacher" in data else ""
        reused = ", reused from an earlier job" if data.get("reused") else ""
        self._say(f"Q curve{of}: {self._layers} layers from {data['samples']} samples{reused}")

    def _on_layer_quality(self, data: dict[str, Any]) -> None:
        self._scored += 1
        self._most = max(self._most, data["quality"])
        line = f"  {data['name'][:36]:36} Q {data['quality']:7.3f}  {bar(data['quality'], self._most)}"
        self.console.print(escape(line), highlight=False)
        self._draw("scoring", self._scored / max(self._layers, 1), f"{self._scored} of {self._layers} layers")

    def _on_choice(self, data: dict[str, Any]) -> None:
        if data["reason"]:
            self._say(f"recipe {data['reason']}")

    def _on_selection(self, data: dict[str, Any]) -> None:
        self._say(f"chosen by {data['rule']}: {', '.join(data['teacher_layers'])}")

    def _on_metrics(self, data: dict[str, Any]) -> None:
        if self._primary and data["split"] == "validation":
            value = number(self._primary, data["values"].get(self._primary["name"]))
            self._best = f"validation {self._primary['label']} {value}" if value else self._best

    def _on_progress(self, data: dict[str, Any]) -> None:
        eta = data.get("eta_seconds")
        left = f"{_duration(eta)} left" if eta is not None else ""
        note = ", ".join(part for part in (left, self._best) if part)
        self._draw(self._phase or "running", data["fraction"], note)

    def _draw(self, what: str, fraction: float, note: str) -> None:
        self._progress.update(self._task, description=f"{escape(self.title)} {what}", completed=fraction, note=note)

    def _say(self, text: str) -> None:
        self.console.print(f"  {escape(text)}", highlight=False)


def watch(retort: Retort, console: Console, job_id: str, title: str = "") -> Job:
    """Show the job until it has ended; the job then."""
    primary = next(iter(metrics_of([retort.job(job_id)], retort.tasks())), None)
    with Watch(console, title, primary) as shown:
        for event in retort.events(job_id):
            shown.see(event)
    return retort.job(job_id)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
