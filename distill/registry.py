"""A registry whose keys are file names: a new entry is one new file, found without a line elsewhere.

A package (`distill.losses`, `distill.recipes`, `distill.selection`) makes one `Registry(__name__, __path__)`. Every
module in it whose name has no leading underscore is an entry; the entry's object is the module's `ENTRY`.
`names`, `summary` and `parameters` read the source by `ast`, so listing never imports torch; `get` does import.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from distill.errors import UnknownName


class Registry:
    """Entries of one package, by file name."""

    def __init__(self, package: str, path: Iterable[str], noun: str) -> None:
        self.package, self.noun = package, noun
        self._folder = Path(next(iter(path)))

    def names(self) -> tuple[str, ...]:
        """All entry names, sorted. Imports nothing."""
        return tuple(sorted(p.stem for p in self._folder.glob("*.py") if not p.stem.startswith("_")))

    def get(self, name: str) -> Any:
        """Import the entry's module and return its `ENTRY`. Raises `UnknownName`, listing what there is."""
        self.check(name)
        return importlib.import_module(f"{self.package}.{name}").ENTRY

    def check(self, name: str) -> None:
        """Raise `UnknownName` unless `name` is an entry. Imports nothing."""
        if name not in self.names():
            raise UnknownName(self.noun, name, self.names())

    def summary(self, name: str) -> str:
        """First line of the entry's module docstring. Imports nothing."""
        self.check(name)
        return (ast.get_docstring(_tree(self._folder / f"{name}.py")) or "").partition("\n")[0]

    def parameters(self, name: str) -> dict[str, dict[str, Any]]:
        """The entry's literal `PARAMETERS`: parameter name -> JSON Schema property with default and description."""
        value: dict[str, dict[str, Any]] = self.literal(name, "PARAMETERS", {})
        return value

    def literal(self, name: str, attribute: str, default: Any) -> Any:
        """A literal constant of the entry's module, `default` where it has none. Imports nothing."""
        self.check(name)
        for node in _tree(self._folder / f"{name}.py").body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and target.id == attribute:
                return ast.literal_eval(node.value)  # type: ignore[attr-defined]
        return default

    def flag(self, name: str, attribute: str, default: bool) -> bool:
        """A literal class attribute of the entry's module (`needs_teacher`), `default` where it has none. Imports
        nothing."""
        self.check(name)
        for node in ast.walk(_tree(self._folder / f"{name}.py")):
            target = node.target if isinstance(node, ast.AnnAssign) else None
            if isinstance(target, ast.Name) and target.id == attribute and isinstance(node, ast.AnnAssign):
                return bool(ast.literal_eval(node.value)) if node.value is not None else default
        return default


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
