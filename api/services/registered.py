"""The endpoints that teachers and datasets share: list, show, rename or label, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from api.http.auth import TenantDep
from api.http.negotiation import IfNoneMatch
from api.http.openapi import documented
from api.http.paging import Cursor, Limit, encode
from api.http.preconditions import CONDITIONAL, HEADERS, IfMatch, stamped, tagged
from api.http.schemas import ResourcePatch
from api.services import registration
from api.services.registration import NOUNS, Resource
from api.state.deps import ListSession, ReadSession, WorkDep
from store.repositories import resources


@dataclass(frozen=True)
class Kind(Generic[Resource]):
    """What tells one noun's endpoints from the other's.

    `shown`: a row as an answer of class `out`; `page`: a page of these. `finds`: what an inspection finds beside the
    usual; `files`: what goes when the resource is deleted; both for the documentation.
    """

    table: type[Resource]
    shown: Callable[[Resource], BaseModel]
    out: type[BaseModel]
    page: type[BaseModel]
    finds: str
    files: str

    @property
    def noun(self) -> str:
        return NOUNS[self.table]

    @property
    def path(self) -> str:
        return f"/{self.noun}s/{{{self.noun}_id}}"


def add_routes(router: APIRouter, kind: Kind[Any]) -> None:
    """GET of all, and GET, PATCH and DELETE of one."""
    _add_list(router, kind)
    _add_show(router, kind)
    _add_update(router, kind)
    _add_delete(router, kind)


def _add_list(router: APIRouter, kind: Kind[Any]) -> None:
    noun = kind.noun

    @router.get(
        f"/{noun}s",
        operation_id=f"list_{noun}s",
        summary=f"List {noun}s",
        description=f"Your {noun}s, newest first.",
        response_model=kind.page,
        responses=documented(422),
    )
    def list_(session: ListSession, tenant: TenantDep, cursor: Cursor, limit: Limit = 50) -> BaseModel:
        rows, more = resources.page(session, kind.table, tenant, cursor, limit)
        return kind.page(items=[kind.shown(row) for row in rows], next_cursor=encode(rows[-1].id) if more else None)


def _add_show(router: APIRouter, kind: Kind[Any]) -> None:
    given = Path(alias=f"{kind.noun}_id")

    @router.get(
        kind.path,
        operation_id=f"get_{kind.noun}",
        summary=f"Show a {kind.noun}",
        description=f"One {kind.noun} with what its inspection found{kind.finds}.",
        response_model=kind.out,
        responses=documented(404, also=CONDITIONAL),
    )
    def show(
        session: ReadSession,
        tenant: TenantDep,
        response: Response,
        resource_id: str = given,
        if_none_match: IfNoneMatch = None,
    ) -> BaseModel | Response:
        row = registration.find(session, kind.table, tenant, resource_id)
        return tagged(kind.shown(row), response, if_none_match)


def _add_update(router: APIRouter, kind: Kind[Any]) -> None:
    noun, given = kind.noun, Path(alias=f"{kind.noun}_id")

    @router.patch(
        kind.path,
        operation_id=f"update_{noun}",
        summary=f"Rename or label a {noun}",
        description=f"Change a {noun}'s name or labels. With `If-Match` only if nobody else has changed it.",
        response_model=kind.out,
        responses=documented(404, 409, 412, 413, 415, 422, also={200: {"headers": HEADERS}}),
    )
    def update(
        work: WorkDep,
        tenant: TenantDep,
        body: ResourcePatch,
        response: Response,
        resource_id: str = given,
        if_match: IfMatch = None,
    ) -> BaseModel:
        registration.unchanged(work, kind.table, tenant, resource_id, if_match, kind.shown)
        return stamped(kind.shown(registration.patch(work, kind.table, tenant, resource_id, body)), response)


def _add_delete(router: APIRouter, kind: Kind[Any]) -> None:
    given = Path(alias=f"{kind.noun}_id")

    @router.delete(
        kind.path,
        operation_id=f"delete_{kind.noun}",
        summary=f"Delete a {kind.noun}",
        description=f"Remove a {kind.noun} and its {kind.files}. 409 while jobs refer to it.",
        status_code=204,
        responses=documented(404, 409, 412),
    )
    def delete(work: WorkDep, tenant: TenantDep, resource_id: str = given, if_match: IfMatch = None) -> None:
        registration.unchanged(work, kind.table, tenant, resource_id, if_match, kind.shown)
        registration.delete(work, kind.table, tenant, resource_id)
