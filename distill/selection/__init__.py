"""Registry of every selection rule: one file an entry, named by its file. Listing imports no torch."""

from distill.registry import Registry

registry = Registry(__name__, __path__, "selection rule")
names = registry.names
get = registry.get
