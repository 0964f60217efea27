"""A registry whose keys are file names: a new entry is one new file, found without a line elsewhere.

A package (`distill.losses`, `distill.recipes`, `distill.selection`) makes one `Registry(__name__, __path__)`. Every
module in it whose name has no leading underscore is an entry; the entry's object is the module's `ENTRY`.
`names`, `summary`, `parameters` and `flag` read the source (`distill.source_constants`): listing imports no torch.
`get` imports the entry.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from distill import source_constants
from distill.errors import UnknownName


class Registry:
    """Entries of one package, by file name."""

    def __init__(self, package: str, path: Iterable[str], noun: str) -> None:
        self.package, self.noun = package, noun
        self._folder = Path(next(iter(path)))

    def names(self) -> tuple[str, ...]:
        """All entry names, sorted. Imports nothing."""
        return self._found

    @cached_property
    def _found(self) -> tuple[str, ...]:
        """The folder is read once: every look at an entry asks for all names."""
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
        return source_constants.docstring(self._file(name)).partition("\n")[0]

    def parameters(self, name: str) -> dict[str, dict[str, Any]]:
        """The entry's `PARAMETERS`: parameter name -> JSON Schema property with default and description. Imports
        nothing."""
        found: dict[str, dict[str, Any]] = self.constant(name, "PARAMETERS", {})
        return found

    def constant(self, name: str, attribute: str, default: Any) -> Any:
        """A literal constant of the entry's module, `default` where it has none. Imports nothing."""
        return source_constants.constant(self._file(name), attribute, default)

    def flag(self, name: str, attribute: str, default: bool) -> bool:
        """A class attribute as `attribute` reads it, as a truth value."""
        return bool(self.attribute(name, attribute, default))

    def attribute(self, name: str, attribute: str, default: Any) -> Any:
        """A literal class attribute of the entry's class (`needs_teacher`), its own or inherited; `default` where it
        has none. Imports nothing."""
        path = self._file(name)
        entry = source_constants.entry(path)
        return default if entry is None else source_constants.attribute(path, entry, attribute, default)

    def _file(self, name: str) -> Path:
        self.check(name)
        return self._folder / f"{name}.py"
