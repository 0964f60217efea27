"""Registry of named datasets: one file a set, named by its file (`fashion_mnist.py` is `fashion-mnist`)."""

from collections.abc import Callable

from distill.modalities.images.sets._base import NamedSet
from distill.registry import Registry

registry = Registry(__name__, __path__, "named dataset")


def names() -> tuple[str, ...]:
    """All names, whether or not their files are on this machine. Opens nothing."""
    return tuple(name.replace("_", "-") for name in registry.names())


def get(name: str) -> Callable[[], NamedSet]:
    """What reads the set from this machine's disk. Raises `UnknownName`."""
    entry: Callable[[], NamedSet] = registry.get(name.replace("-", "_"))
    return entry
