"""Strategies of a study: what is tried next, and what is given up. One file an entry, named by its file. Listing
imports no Optuna.

`get(name)(plan, **parameters)` is a `distill.search.strategy.Strategy`.
"""

from distill.registry import Registry

registry = Registry(__name__, __path__, "strategy")
names = registry.names
get = registry.get


def prunes(name: str) -> bool:
    """Whether the strategy gives runs up while they train; False for a name that is none."""
    return name in names() and registry.flag(name, "prunes", False)


__all__ = ["get", "names", "prunes", "registry"]
