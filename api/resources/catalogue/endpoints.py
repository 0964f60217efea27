"""/catalogue."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.http.auth import TenantDep
from api.http.openapi import documented
from api.http.paging import Cursor, Limit
from api.resources.catalogue import service
from api.resources.catalogue.schemas import (
    ArchitecturePage,
    CatalogueOut,
    EntryList,
    FormatList,
    NamedDatasetList,
    OptimizerList,
    PresetList,
    RecipeList,
    TargetList,
    TaskList,
)
from api.state.deps import ListSession, ReadSession
from store.repositories import system

router = APIRouter(tags=["catalogue"])


@router.get("/catalogue", operation_id="get_catalogue", summary="Everything by name")
def get_catalogue(session: ReadSession, tenant: TenantDep) -> CatalogueOut:
    """Tasks, recipes, losses, selection rules, export formats and publication targets with their parameters,
    optimizers, presets, and named data sets."""
    return CatalogueOut(
        recipes=service.recipe_list(),
        losses=service.loss_list(),
        selections=service.selection_list(),
        exports=service.export_list(),
        targets=service.target_list(),
        strategies=service.strategy_list(),
        optimizers=service.optimizer_list(session),
        presets=service.preset_list(),
        datasets=service.dataset_list(session),
        tasks=service.task_list(),
        architectures=system.catalogue_size(session, "architecture"),
    )


@router.get(
    "/catalogue/architectures",
    operation_id="list_architectures",
    summary="Architectures",
    responses=documented(422),
)
def list_architectures(
    session: ListSession,
    tenant: TenantDep,
    cursor: Cursor,
    limit: Limit = 100,
    search: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None,
) -> ArchitecturePage:
    """Networks for teachers and students, by name."""
    return service.architecture_page(session, search, cursor, limit)


@router.get("/catalogue/tasks", operation_id="list_tasks", summary="Tasks")
def list_tasks(tenant: TenantDep) -> TaskList:
    """What students can be trained to answer: their datasets, networks, settings and the figures of their reports."""
    return TaskList(items=service.task_list())


@router.get("/catalogue/recipes", operation_id="list_recipes", summary="Recipes")
def list_recipes(tenant: TenantDep) -> RecipeList:
    """How a student can be trained."""
    return RecipeList(items=service.recipe_list())


@router.get("/catalogue/losses", operation_id="list_losses", summary="Feature losses")
def list_losses(tenant: TenantDep) -> EntryList:
    """What compares a student's feature with a teacher's."""
    return EntryList(items=service.loss_list())


@router.get("/catalogue/selections", operation_id="list_selections", summary="Selection rules")
def list_selections(tenant: TenantDep) -> EntryList:
    """How the layers to distil are chosen from the Q curve."""
    return EntryList(items=service.selection_list())


@router.get("/catalogue/exports", operation_id="list_export_formats", summary="Export formats")
def list_export_formats(tenant: TenantDep) -> FormatList:
    """Formats in which a student is written for other runtimes."""
    return FormatList(items=service.export_list())


@router.get("/catalogue/targets", operation_id="list_publication_targets", summary="Publication targets")
def list_publication_targets(tenant: TenantDep) -> TargetList:
    """Where a finished student can be handed over, and which credentials that takes."""
    return TargetList(items=service.target_list())


@router.get("/catalogue/strategies", operation_id="list_strategies", summary="Strategies of studies")
def list_strategies(tenant: TenantDep) -> EntryList:
    """How a study chooses what to try next."""
    return EntryList(items=service.strategy_list())


@router.get("/catalogue/optimizers", operation_id="list_optimizers", summary="Optimizers")
def list_optimizers(session: ReadSession, tenant: TenantDep) -> OptimizerList:
    """What a job's `config.optimizer` may name: torch's and timm's, as far as they can run here."""
    return OptimizerList(items=service.optimizer_list(session))


@router.get("/catalogue/presets", operation_id="list_presets", summary="Presets")
def list_presets(tenant: TenantDep) -> PresetList:
    """Published protocols that a job names by one word."""
    return PresetList(items=service.preset_list())


@router.get("/catalogue/datasets", operation_id="list_named_datasets", summary="Named data sets")
def list_named_datasets(session: ReadSession, tenant: TenantDep) -> NamedDatasetList:
    """Data sets that need no upload."""
    return NamedDatasetList(items=service.dataset_list(session))
