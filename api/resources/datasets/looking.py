"""What an upload's first and last bytes say that it is."""

from __future__ import annotations

from api.state.context import Context
from store.formats import HEAD_BYTES, TAIL_BYTES, Format, classify
from store.tables import Upload


def form(context: Context, file: Upload) -> Format | None:
    """The format of an upload that is complete; None for none that is read."""
    return classify(head(context, file), _part(context, file, file.size_bytes - TAIL_BYTES, file.size_bytes))


def head(context: Context, file: Upload) -> bytes:
    """Its first bytes."""
    return _part(context, file, 0, HEAD_BYTES)


def _part(context: Context, file: Upload, start: int, end: int) -> bytes:
    return b"".join(context.objects.read(file.object_key, max(start, 0), min(end, file.size_bytes)))
