"""A module's leading underscore says "in a registry's package, and no entry of it", and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("distill", "publishing", "store", "api", "worker", "client", "embedded")
#: Packages that do not keep this yet (issue 14): take them out as they do.
OPEN: frozenset[str] = frozenset()
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
HIDDEN = [path for path in FILES if path.name.startswith("_") and not path.name.startswith("__")]


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports, and `package.name` for each name of a `from package import name`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", [path for path in HIDDEN if dotted(path.parent) not in OPEN], ids=dotted)
def test_an_underscored_module_lies_in_a_registry(path: Path) -> None:
    package = import_module(dotted(path.parent))
    assert callable(package.names)
    assert callable(package.get)


def test_nobody_outside_a_registry_imports_its_underscored_modules() -> None:
    hidden = {dotted(path): dotted(path.parent) for path in HIDDEN}
    strangers = {
        (dotted(path), name)
        for path in FILES
        for name in imported(path)
        if name in hidden and hidden[name] not in OPEN and not f"{dotted(path)}.".startswith(f"{hidden[name]}.")
    }
    assert not strangers
