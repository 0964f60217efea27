"""Registry of every recipe: one file an entry, named by its file. Listing imports no torch."""

from distill.registry import Registry

registry = Registry(__name__, __path__, "recipe")
names = registry.names
get = registry.get
