"""Jobs of a study, ordered from a running service over HTTP and found again by their labels."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

OVER = ("succeeded", "failed", "cancelled")


class Service:
    """A service at `url`; `study`: the label that its jobs carry, so that none is ordered twice."""

    def __init__(self, url: str, study: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=300)
        self.study = study

    def get(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    def post(self, path: str, **more: Any) -> Any:
        answer = self.http.post(path, **more)
        if answer.is_error:
            raise SystemExit(f"POST {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def report(self, job: str) -> Any:
        """A finished job's report.json, which tells more than its result."""
        return self.http.get(f"/jobs/{job}/artifacts/report.json", follow_redirects=True).raise_for_status().json()

    def until(self, path: str, over: Iterable[str] = OVER, pause: float = 3) -> Any:
        while (found := self.get(path))["status"] not in over:
            time.sleep(pause)
        return found

    def ready(self, path: str) -> str:
        """The id of a teacher or dataset, once it is inspected."""
        found = self.until(path, ("ready", "invalid"))
        if found["status"] != "ready":
            raise SystemExit(f"{path} is {found['status']}: {found['error']}")
        return str(found["id"])

    def named(self, kind: str, name: str) -> Any | None:
        return next((item for item in self.get(f"/{kind}?limit=100")["items"] if item["name"] == name), None)

    def finished(self) -> dict[tuple[str, int], Any]:
        """The study's succeeded jobs, whole, by arm and seed."""
        jobs = (item for item in self.get("/jobs?limit=100")["items"] if item["status"] == "succeeded")
        ours = [job for job in jobs if job["labels"].get("study") == self.study]
        return {(job["labels"]["arm"], int(job["labels"]["seed"])): self.get(f"/jobs/{job['id']}") for job in ours}

    def by_arm(self, arms: Iterable[str]) -> dict[str, dict[int, Any]]:
        """Those of the study's jobs that have succeeded, by arm and seed, of arms that have any."""
        found = self.finished()
        by_arm = {arm: {seed: job for (name, seed), job in sorted(found.items()) if name == arm} for arm in arms}
        return {arm: jobs for arm, jobs in by_arm.items() if jobs}

    def job(self, arm: str, seed: int, body: dict[str, Any]) -> str:
        """The id of the job with these labels, ordered if it is not there yet."""
        labels = {"study": self.study, "arm": arm, "seed": str(seed)}
        for item in self.get("/jobs?limit=100")["items"]:
            if item["labels"] == labels and item["status"] not in ("failed", "cancelled"):
                return str(item["id"])
        return str(self.post("/jobs", json=body | {"labels": labels, "name": f"{arm}, seed {seed}"})["id"])

    def succeeded(self, job: str) -> Any:
        found = self.until(f"/jobs/{job}")
        if found["status"] != "succeeded":
            raise SystemExit(f"{job} is {found['status']}: {found['error']}")
        return found


def registered_archive(service: Service, archive: Path) -> str:
    """The id of the dataset of this name, sent if it is not there yet."""
    found = service.named("datasets", archive.name)
    if found is None:
        with archive.open("rb") as file:
            found = service.post("/datasets", files={"file": (archive.name, file)})
    return service.ready(f"/datasets/{found['id']}")
