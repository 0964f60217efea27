"""Where a dataset's contact sheet lies; API and worker agree on it here."""

from __future__ import annotations

MEDIA_TYPE = "image/webp"


def object_key(dataset_id: str) -> str:
    """One object a dataset, made by the inspection and deleted with the row."""
    return f"datasets/{dataset_id}/thumbnails.webp"
