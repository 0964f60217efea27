"""Constants and class attributes of a module, read from its source: listing a registry imports nothing."""

from __future__ import annotations

import ast
import threading
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
"""The folder of the package: `distill.recipes.logit` is `distill/recipes/logit.py` below it."""
_MISSING = object()


def docstring(path: Path) -> str:
    return ast.get_docstring(_tree(path)) or ""


def constant(path: Path, name: str, default: Any = None) -> Any:
    """The value of the module's `name`: a literal, or a tuple or dictionary put together of literals (`(*A, 1)`,
    `{**A, "b": 1}`, `A | B`) where `A` may be imported from another module of ours. `default` where it has none. Raises
    `ValueError` for anything else."""
    found = _assigned(_tree(path).body, name)
    if found is not None:
        return _evaluate(found, path)
    home = _home(path, name)
    return default if home is None else constant(*home, default)


def attribute(path: Path, class_name: str, name: str, default: Any = None) -> Any:
    """A literal attribute of a class, its own or the first that its bases have, in the order that Python asks them
    (left to right, depth first, which is the same without diamonds). `default` where none has one."""
    found = _attribute(path, class_name, name)
    return default if found is _MISSING else found


def _attribute(path: Path, class_name: str, name: str) -> Any:
    node = next((n for n in _tree(path).body if isinstance(n, ast.ClassDef) and n.name == class_name), None)
    if node is None:
        home = _home(path, class_name)
        return _MISSING if home is None else _attribute(*home, name)
    own = _assigned(node.body, name)
    if own is not None:
        return _evaluate(own, path)
    bases = (_attribute(path, base.id, name) for base in node.bases if isinstance(base, ast.Name))
    return next((value for value in bases if value is not _MISSING), _MISSING)


def entry(path: Path) -> str | None:
    """The name that the module's `ENTRY` stands for, where it is one."""
    found = _assigned(_tree(path).body, "ENTRY")
    return found.id if isinstance(found, ast.Name) else None


def _assigned(body: list[ast.stmt], name: str) -> ast.expr | None:
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node.value
    return None


def _home(path: Path, name: str) -> tuple[Path, str] | None:
    """The module of ours that `name` is imported from, and what it is called there."""
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name and (file := _file(node.module)) is not None:
                    return file, alias.name
    return None


def _file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _evaluate(node: ast.expr, path: Path) -> Any:
    if isinstance(node, ast.Name):
        value = constant(path, node.id, _MISSING)
        if value is _MISSING:
            raise ValueError(f"{path.name}: {node.id} is no constant that can be read without importing")
        return value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _evaluate(node.left, path) | _evaluate(node.right, path)
    if isinstance(node, ast.Tuple):
        starred = [isinstance(each, ast.Starred) for each in node.elts]
        values = [_evaluate(each.value if isinstance(each, ast.Starred) else each, path) for each in node.elts]
        pairs = zip(values, starred, strict=True)
        return tuple(part for value, many in pairs for part in (value if many else (value,)))
    if isinstance(node, ast.Dict):
        merged: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            merged |= _evaluate(value, path) if key is None else {_evaluate(key, path): _evaluate(value, path)}
        return merged
    return ast.literal_eval(node)


_PARSING = threading.Lock()
"""Two threads that parse at once confuse CPython 3.11's count of the depth: SystemError (python/cpython#106905)."""


@cache
def _tree(path: Path) -> ast.Module:
    with _PARSING:
        return ast.parse(path.read_text(encoding="utf-8"))
