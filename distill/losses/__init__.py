"""Registry of every loss: one file an entry, named by its file. Listing imports no torch."""

from distill.registry import Registry

registry = Registry(__name__, __path__, "loss")
names = registry.names
get = registry.get
