"""Objects whose rows are gone. Their removal comes behind the commit, and may come later."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from store.objects import ObjectStore, StorageUnavailable

log = logging.getLogger(__name__)


def remove(objects: ObjectStore, keys: Iterable[str], prefix: str = "") -> None:
    """Remove `keys`, and all below `prefix`. What was asked for is done whatever the store says: the rows are gone, so
    an error would only make the client send again what is then a 404. What stays behind is found as an orphan
    (`store.tidying.orphans`)."""
    try:
        for key in {*keys, *(objects.keys(prefix) if prefix else ())}:
            objects.delete(key)
    except StorageUnavailable as error:
        log.warning("objects of %s are removed later, as orphans: %s", prefix or "a deleted row", error)
