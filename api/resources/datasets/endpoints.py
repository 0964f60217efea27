"""/datasets."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api import registration
from api.auth import TenantDep
from api.deps import ContextDep, ReadSession, Storing, WorkDep
from api.files import respond, still_there
from api.idempotency import IdempotencyKeyDep
from api.negotiation import IfNoneMatch, Prefer
from api.openapi import body, documented
from api.paging import Cursor, Limit, encode
from api.preconditions import CONDITIONAL, HEADERS, IfMatch, stamped, tagged
from api.resources.datasets import service
from api.resources.datasets.schemas import (
    FORM_EXAMPLE,
    FORM_SCHEMA,
    NAMED_EXAMPLE,
    DatasetFromReferences,
    DatasetFromUploads,
    DatasetOut,
    DatasetPage,
    NamedDataset,
)
from api.schemas import ResourcePatch
from api.uploads import UploadDep
from store.repositories import resources
from store.tables import Dataset
from store.thumbnails import MEDIA_TYPE

JSON_BODIES = (NamedDataset, DatasetFromUploads, DatasetFromReferences)
_WEBP = {MEDIA_TYPE: {"schema": {"type": "string", "contentMediaType": MEDIA_TYPE}}}
router = APIRouter(tags=["datasets"])


@router.post(
    "/datasets",
    operation_id="register_dataset",
    summary="Register a dataset",
    status_code=201,
    responses=documented(
        409, 413, 415, 422, also={202: {"model": DatasetOut, "description": "Still being inspected; see Location."}}
    ),
    openapi_extra=body(
        json=((NamedDataset, DatasetFromUploads, DatasetFromReferences), NAMED_EXAMPLE),
        form=(FORM_SCHEMA, FORM_EXAMPLE),
    ),
)
async def register_dataset(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    upload: UploadDep,
    response: Response,
    prefer: Prefer = None,
) -> DatasetOut:
    """Upload an ImageFolder as zip or tar, an image parquet, CSV or JSON Lines, whole or as train and test; or use a
    named set, uploads, or files that the service fetches from where the operator allows. CSV, JSON Lines or parquet of
    texts with labels, pairs of texts, or instructions with answers are told by their columns.

    A worker reads it through once; the answer waits for that (`Prefer: wait=N`). Data that cannot be used is answered
    with 422, which says why, and nothing of it is kept.
    """
    made, replay = await context.lanes.storing.run(service.register, context, tenant, upload, key)
    row = await registration.settled(context, Dataset, tenant, made, prefer)
    registration.answered(response, row, prefer, replay)
    return service.shown(row)


@router.get("/datasets", operation_id="list_datasets", summary="List datasets", responses=documented(422))
def list_datasets(session: ReadSession, tenant: TenantDep, cursor: Cursor, limit: Limit = 50) -> DatasetPage:
    """Your datasets, newest first."""
    rows, more = resources.page(session, Dataset, tenant, cursor, limit)
    return DatasetPage(items=[service.shown(row) for row in rows], next_cursor=encode(rows[-1].id) if more else None)


@router.get(
    "/datasets/{dataset_id}",
    operation_id="get_dataset",
    summary="Show a dataset",
    response_model=DatasetOut,
    responses=documented(404, also=CONDITIONAL),
)
def get_dataset(
    session: ReadSession, tenant: TenantDep, dataset_id: str, response: Response, if_none_match: IfNoneMatch = None
) -> DatasetOut | Response:
    """One dataset with what its inspection found: classes, counts, image sizes."""
    return tagged(service.shown(registration.find(session, Dataset, tenant, dataset_id)), response, if_none_match)


@router.patch(
    "/datasets/{dataset_id}",
    operation_id="update_dataset",
    summary="Rename or label a dataset",
    responses=documented(404, 409, 412, 413, 415, 422, also={200: {"headers": HEADERS}}),
)
def update_dataset(
    work: WorkDep,
    tenant: TenantDep,
    dataset_id: str,
    body: ResourcePatch,
    response: Response,
    if_match: IfMatch = None,
) -> DatasetOut:
    """Change a dataset's name or labels. With `If-Match` only if nobody else has changed it."""
    registration.unchanged(work, Dataset, tenant, dataset_id, if_match, service.shown)
    return stamped(service.shown(registration.patch(work, Dataset, tenant, dataset_id, body)), response)


@router.get(
    "/datasets/{dataset_id}/thumbnails",
    operation_id="get_dataset_thumbnails",
    summary="Show a dataset's thumbnails",
    response_class=Response,
    responses=documented(404)
    | {
        200: {"description": "A contact sheet; the dataset's `thumbnails` say how it is laid out.", "content": _WEBP},
        304: {"description": "Not modified since the answer with that ETag."},
    },
)
def get_dataset_thumbnails(
    context: ContextDep, tenant: TenantDep, place: Storing, request: Request, dataset_id: str
) -> Response:
    """One WebP picture: a row for each of the first 50 classes, with its first 8 training images as square tiles."""

    def look() -> Dataset:
        with context.database.read() as session:
            return registration.find(session, Dataset, tenant, dataset_id)

    sheet = service.sheet(look())
    with still_there(look):
        return respond(context.objects, context.lanes.storing, sheet, request.headers, redirect=False)


@router.delete(
    "/datasets/{dataset_id}",
    operation_id="delete_dataset",
    summary="Delete a dataset",
    status_code=204,
    responses=documented(404, 409, 412),
)
def delete_dataset(work: WorkDep, tenant: TenantDep, dataset_id: str, if_match: IfMatch = None) -> None:
    """Remove a dataset and its files. 409 while jobs refer to it."""
    registration.unchanged(work, Dataset, tenant, dataset_id, if_match, service.shown)
    registration.delete(work, Dataset, tenant, dataset_id)
