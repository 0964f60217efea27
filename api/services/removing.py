"""Remove objects from the store after the commit that removed their rows; what fails now is removed later."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from store.objects import ObjectStore, StorageUnavailable

log = logging.getLogger(__name__)


def remove(objects: ObjectStore, keys: Iterable[str], prefix: str = "") -> None:
    """Remove `keys`, and all below `prefix`. An error of the store is logged and not raised: the rows are gone, so a
    client that tried again would get a 404. Objects that stay are removed as orphans (`store.tidying.orphans`)."""
    try:
        for key in {*keys, *(objects.keys(prefix) if prefix else ())}:
            objects.delete(key)
    except StorageUnavailable as error:
        log.warning("objects of %s are removed later, as orphans: %s", prefix or "a deleted row", error)
