"""What supplies an attempt with the shards of its datasets, whether they lie elsewhere or were uploaded."""

from __future__ import annotations

from store.objects import ObjectStore
from store.settings import Settings
from store.shard_references import KIND
from worker.transfer import inputs
from worker.transfer.fetching import Fetcher
from worker.transfer.inputs import Inputs
from worker.transfer.sent_shards import SentShards
from worker.transfer.supplier import Kept, Store, Supplier
from worker.transfer.tally import Tally


def suppliers_of(
    settings: Settings, objects: ObjectStore, needed: Inputs, fetcher: Fetcher, store: Store,
    tally: Tally | None = None,
) -> list[Supplier]:  # fmt: skip
    """One for each dataset of shards, at work; shards are kept in `store`, `tally` counts them. Raises as
    `Fetcher.get`."""
    found: list[Supplier] = []
    try:
        for called, row in (("dataset", needed.dataset), ("probe", needed.probe)):
            if row is None or row.kind != KIND:
                continue
            if row.streamed:
                entries = inputs.manifest(row, fetcher, called)
                source = Kept(settings, entries, store, tally=tally)
            else:
                sent = SentShards(row, objects, fetcher.note)
                entries, source = sent.entries, Kept(settings, sent.entries, store, sent.bring, tally)
            folder = inputs.supply_folder(fetcher.folder.parent, called)
            wanted = fetcher.folder / f"{called}-wanted"
            supplier = Supplier(folder, wanted, store.folder, settings.shard_cache_bytes, store.held_seconds)
            if tally is not None:
                tally.tell(folder)
            found.append(supplier.start(source, len(entries)))
    except BaseException:
        for supplier in found:
            supplier.close()
        raise
    return found
