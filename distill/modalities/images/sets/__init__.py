"""Registry of named datasets: one file a set, named by its file (`fashion_mnist.py` is `fashion-mnist`)."""

import os
from collections.abc import Callable
from pathlib import Path

from distill.modalities.images.sets._base import NamedSet, places
from distill.registry import Registry

registry = Registry(__name__, __path__, "named dataset")


def names() -> tuple[str, ...]:
    """All names, whether or not their files are on this machine. Opens nothing."""
    return tuple(name.replace("_", "-") for name in registry.names())


def get(name: str) -> Callable[[], NamedSet]:
    """What reads the set from this machine's disk. Raises `UnknownName`."""
    entry: Callable[[], NamedSet] = registry.get(name.replace("-", "_"))
    return entry


def folders(data_dir: Path) -> tuple[Path, ...]:
    """Folders of this machine in which files of any named set lie, absolute; `data_dir` is what RETORT_DATA_DIR says.
    Imports no set."""
    found = (place for name in registry.names() for place in places(registry.constant(name, "FOLDERS", ()), data_dir))
    return tuple(sorted({Path(os.path.realpath(place)) for place in found if place.is_dir()}))
