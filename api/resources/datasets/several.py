"""Datasets of which a role came as several uploads: the shards of one split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from api.errors.problems import Unprocessable
from api.http.forms import invalid
from api.resources.datasets import looking
from api.services import registration
from api.state.context import Context
from store.dataset_files import numbered
from store.formats import Format
from store.shard_references import KIND
from store.tables import Upload

T = TypeVar("T")
KINDS: Mapping[Format, str] = {"tar": KIND, "parquet": "parquet"}
"""Format of all files -> how they are read."""


@dataclass(frozen=True, slots=True)
class Several:
    """`uploads` in their order; `files`: by their names, as `Dataset.files` has them; `kind`: the dataset's."""

    uploads: Sequence[Upload]
    files: dict[str, dict[str, Any]]
    kind: str


def of(context: Context, tenant: str, given: Mapping[str, Sequence[str]]) -> Several:
    """`given`: role -> ids of uploads. Raises `Unprocessable` for an upload that is there twice, two of the same bytes
    in a role, a file that is no shard, and files of different formats; otherwise as `registration.find_upload`."""
    _check_once(given)
    with context.database.read() as session:
        found = {
            role: [
                registration.find_upload(session, tenant, upload_id, "dataset", pointer)
                for pointer, upload_id in _placed(role, ids)
            ]
            for role, ids in given.items()
        }
    forms = [
        (upload, pointer, _form(context, upload, pointer))
        for role, uploads in found.items()
        for pointer, upload in _placed(role, uploads)
    ]
    for role, uploads in found.items():
        _check_different(role, uploads)
    first, _, form = forms[0]
    for upload, pointer, other in forms:
        if other != form:
            raise _refused(
                pointer, f"{_called(upload)} is {other}, and {_called(first)} is {form}",
                "Send all files in one format.", upload,
            )  # fmt: skip
    files = {
        numbered(role, number): {
            "object_key": upload.object_key, "size_bytes": upload.size_bytes, "sha256": str(upload.sha256),
            "filename": upload.filename, "format": form,
        }
        for role, uploads in found.items()
        for number, upload in enumerate(uploads)
    }  # fmt: skip
    return Several([upload for upload, _, _ in forms], files, KINDS[form])


def _placed(role: str, items: Sequence[T]) -> Iterator[tuple[str, T]]:
    """Each with its place in the request."""
    field = "upload" if role == "all" else role
    return ((f"/{field}/{number}", item) for number, item in enumerate(items))


def _check_once(given: Mapping[str, Sequence[str]]) -> None:
    seen: set[str] = set()
    for role, ids in given.items():
        for pointer, upload_id in _placed(role, ids):
            if upload_id in seen:
                raise invalid(pointer, f"Upload {upload_id} is there twice.", "Name each upload once.")
            seen.add(upload_id)


def _check_different(role: str, uploads: Sequence[Upload]) -> None:
    """Whoever sends a file twice in place of its neighbour would learn from it twice."""
    first: dict[str, Upload] = {}
    for pointer, upload in _placed(role, uploads):
        same = first.setdefault(str(upload.sha256), upload)
        if same is not upload:
            what = f"{_called(upload)} and {_called(same)} hold the same bytes"
            raise _refused(pointer, what, "Send each file once.", upload)


def _form(context: Context, upload: Upload, pointer: str) -> Format:
    found = looking.form(context, upload)
    if found is None or found not in KINDS:
        what = f"{_called(upload)} is {found or 'neither a tar nor parquet'}"
        remedy = "Of a list every file is a plain tar (WebDataset) or parquet; any other dataset is one file."
        raise _refused(pointer, what, remedy, upload)
    return found


def _called(upload: Upload) -> str:
    return f"{upload.filename!r} ({upload.id})"


def _refused(pointer: str, what: str, remedy: str, upload: Upload) -> Unprocessable:
    return invalid(pointer, f"{what}.", remedy, "invalid_dataset", upload=upload.id, filename=upload.filename)
