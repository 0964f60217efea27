"""Shared code does not know the task: no file of a package or of the dashboard names it outside its folder."""

from __future__ import annotations

from pathlib import Path

TOP = Path(__file__).parents[2]
PACKAGES = ("distill", "publishing", "store", "api", "worker", "client", "embedded", "migrations")


def test_no_shared_code_names_the_task() -> None:
    files = [path for package in PACKAGES for path in (TOP / package).rglob("*.py")]
    files += [path for path in (TOP / "web" / "src").rglob("*.ts*") if ".test." not in path.name]
    own = TOP / "distill" / "tasks" / "detect_objects"
    naming = [path for path in files if "detect_objects" in path.read_text(encoding="utf-8")]
    assert own / "__init__.py" in naming
    assert [path.relative_to(TOP) for path in naming if own not in path.parents] == []
