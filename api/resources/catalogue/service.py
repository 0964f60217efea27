"""Names that a job may use: registries by their files, architectures and data sets as workers published them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.http.paging import encode
from api.resources.catalogue.schemas import (
    ArchitectureOut,
    ArchitecturePage,
    EntryOut,
    FormatOut,
    NamedDatasetOut,
    OptimizerOut,
    PresetOut,
    RecipeOut,
    TargetOut,
    TaskOut,
)
from api.services import optimizers
from distill import exports, losses, presets, recipes, selection, tasks
from distill.registry import Registry
from distill.search import strategies
from publishing import targets
from store.repositories import system


def recipe_list() -> list[RecipeOut]:
    registry = recipes.registry
    return [
        RecipeOut(
            name=name,
            summary=registry.summary(name),
            parameters=registry.parameters(name),
            needs_teacher=registry.flag(name, "needs_teacher", default=True),
            needs_layers=registry.flag(name, "needs_layers", default=True),
            reads_logits=recipes.reads_logits(name, {}),
            needs_labels=recipes.needs_labels(name),
            wants_some_labels=recipes.wants_some_labels(name),
            several_teachers=recipes.several_teachers(name),
            features_alone=recipes.features_alone(name) or {},
        )
        for name in registry.names()
    ]


def loss_list() -> list[EntryOut]:
    return _entries(losses.registry)


def selection_list() -> list[EntryOut]:
    return _entries(selection.registry)


def export_list() -> list[FormatOut]:
    """A parameter that some tasks of its format lack names those that have it (`x-tasks`), as settings do."""
    found = []
    for entry in _entries(exports.registry):
        having = [spec for spec in tasks.specs() if entry.name in spec.formats]
        told = FormatOut(tasks=[spec.name for spec in having], **entry.model_dump())
        for schema in told.parameters.values():
            if "x-takes" in schema:
                schema["x-tasks"] = [spec.name for spec in having if spec.exports in schema["x-takes"]]
        found.append(told)
    return found


def target_list() -> list[TargetOut]:
    registry = targets.registry
    return [
        TargetOut(
            name=name,
            summary=registry.summary(name),
            parameters=registry.parameters(name),
            live=targets.live(name),
            credentials=targets.credentials(name),
        )
        for name in registry.names()
    ]


def strategy_list() -> list[EntryOut]:
    return _entries(strategies.registry)


def _entries(registry: Registry) -> list[EntryOut]:
    return [
        EntryOut(name=name, summary=registry.summary(name), parameters=registry.parameters(name))
        for name in registry.names()
    ]


def optimizer_list(session: Session) -> list[OptimizerOut]:
    return [OptimizerOut.model_validate(entry) for entry in optimizers.entries(session)]


def preset_list() -> list[PresetOut]:
    return [
        PresetOut(name=name, summary=preset.summary, source=preset.source, settings=dict(preset.settings))
        for name, preset in presets.PRESETS.items()
    ]


def task_list() -> list[TaskOut]:
    return [TaskOut.model_validate(spec.to_dict()) for spec in tasks.specs()]


def dataset_list(session: Session) -> list[NamedDatasetOut]:
    return [NamedDatasetOut.model_validate(entry) for entry in system.catalogue(session, "dataset")]


def architecture_page(session: Session, search: str | None, after: str | None, limit: int) -> ArchitecturePage:
    rows, more = system.catalogue_page(session, "architecture", search, after, limit)
    cursor = encode(rows[-1]["name"]) if more else None
    return ArchitecturePage(items=[ArchitectureOut.model_validate(row) for row in rows], next_cursor=cursor)
