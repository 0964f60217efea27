"""Formats in which a finished student is handed over: one exporter a file, named by its file. Listing imports no torch.

A format is called as its file is, with a hyphen for each underscore: `onnx_int8.py` is `onnx-int8`.
"""

from typing import Any

from distill.exports import _needs
from distill.hyphenated import Hyphenated

registry = Hyphenated(__name__, __path__, "export format")
names = registry.names
get = registry.get


def of(given: str) -> tuple[str, ...]:
    """The formats that take what a task's students are (`distill.tasks.TaskSpec.exports`). Imports no torch."""
    return tuple(name for name in names() if given in registry.attribute(name, "takes", ()))


def parameters_without(name: str, given: str) -> tuple[str, ...]:
    """Parameters of the format that students of that kind do not have (`x-takes` names the kinds that have it)."""
    told = registry.parameters(name).items()
    return tuple(each for each, schema in told if given not in schema.get("x-takes", [given]))


def lacking() -> dict[str, dict[str, Any]]:
    """Of the formats that this machine cannot write for want of a package: the `MissingPackage` as a dictionary, by
    name. Imports no torch."""
    found = {}
    for name in names():
        wanted, extra = (registry.attribute(name, each, default) for each, default in (("packages", ()), ("extra", "")))
        error = _needs.packages(wanted, extra)
        if error is None and registry.flag(name, "paged", default=False):
            error = _needs.page(_needs.PAGE)
        if error is not None:
            found[name] = error.to_dict()
    return found
