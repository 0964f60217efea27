"""What supplies an attempt with the shards of its datasets that stay where they lie."""

from __future__ import annotations

from store.settings import Settings
from worker.transfer import inputs
from worker.transfer.fetching import Fetcher
from worker.transfer.inputs import Inputs
from worker.transfer.supplier import Kept, Store, Supplier


def suppliers_of(settings: Settings, needed: Inputs, fetcher: Fetcher, store: Store) -> list[Supplier]:
    """One for each such dataset, at work; shards are kept in `store`. Raises as `Fetcher.get`."""
    found: list[Supplier] = []
    try:
        for called, row in (("dataset", needed.dataset), ("probe", needed.probe)):
            if row is None or not row.shards:
                continue
            entries = inputs.manifest(row, fetcher, called)
            folder = inputs.supply_folder(fetcher.folder.parent, called)
            wanted = fetcher.folder / f"{called}-wanted"
            supplier = Supplier(folder, wanted, store.folder, settings.shard_cache_bytes, store.held_seconds)
            found.append(supplier.start(Kept(settings, entries, store), len(entries)))
    except BaseException:
        for supplier in found:
            supplier.close()
        raise
    return found
