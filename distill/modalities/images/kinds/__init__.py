"""Registry of dataset kinds: one file a kind, named by its file. An entry's `ENTRY` opens a `DatasetInput`."""

from distill.registry import Registry

registry = Registry(__name__, __path__, "dataset kind")
names = registry.names
get = registry.get
