"""Whether teacher, student, dataset and settings are for the same kind of data: texts or images."""

from __future__ import annotations

from typing import Any

from api.resources.jobs.findings import Findings
from api.resources.jobs.schemas import JobCreate
from distill import recipes
from distill.types import Architecture, DistillConfig
from store.tables import Dataset, Teacher

TEXTS = frozenset({"classify", "generate"})
"""What the inspection calls a dataset of texts."""


def check(
    findings: Findings, teacher: Teacher | None, student: Architecture, dataset: Dataset, body: JobCreate
) -> None:
    """Texts need language models, images the others; classes must agree unless a language model is to learn them."""
    report: dict[str, Any] = dataset.report or {}
    texts, recipe = report.get("kind") in TEXTS, body.config.recipe
    _check_settings(findings, body.config, "texts" if texts else "images")
    given = {"teacher": Architecture.model_validate(teacher.architecture)} if teacher is not None else {}
    for noun, architecture in (given | {"student": student}).items():
        if architecture.language != texts:
            message = f"The dataset holds {'texts' if texts else 'images'}, the {noun} is for the other kind."
            remedy = "Use a language model (transformers:...) for texts, a network of another library for images."
            findings.add(f"/{noun}", message, remedy, "kinds_differ")
    if teacher is None:
        if texts and body.teacher is None:
            _add_no_folder(findings, recipe)
        return
    language = given["teacher"].language
    if language and report.get("kind") == "generate" and not (teacher.report or {}).get("generates", True):
        message = "The dataset holds instructions; the teacher is an encoder, which cannot answer."
        findings.add("/teacher", message, "Use a decoder (OPT, Llama, GPT-2, Qwen).", "kinds_differ")
    needed = recipe not in recipes.names() or recipes.registry.flag(recipe, "needs_teacher", default=True)
    if not language or (needed and report.get("kind") == "classify"):
        _check_classes(findings, teacher, dataset)


def _add_no_folder(findings: Findings, recipe: str) -> None:
    """Where nothing else has asked for a teacher yet."""
    if recipe in recipes.names() and not recipes.registry.flag(recipe, "needs_teacher", default=True):
        message = "A language model is trained from a model folder, and none is named."
        remedy = "Name a teacher; with cross_entropy it may be a base model without a head for these classes."
        findings.add("/teacher", message, remedy, "teacher_required")


def _check_settings(findings: Findings, config: DistillConfig, kind: str) -> None:
    """Settings of the other kind of data would be ignored."""
    for name, field in DistillConfig.model_fields.items():
        extra = field.json_schema_extra
        of = extra.get("x-data", kind) if isinstance(extra, dict) else kind
        if of != kind and getattr(config, name) != field.default:
            message = f"{name} is for {of}; the dataset holds {kind}."
            findings.add(f"/config/{name}", message, f"Leave {name} out.", "invalid_config")


def _check_classes(findings: Findings, teacher: Teacher, dataset: Dataset) -> None:
    ours, theirs = (teacher.report or {}).get("num_classes"), classes_of(dataset)
    if ours is not None and theirs is not None and ours != theirs:
        message = f"The teacher tells {ours} classes apart, the dataset has {theirs}."
        remedy = "Use a teacher that was trained on these classes; a job with recipe cross_entropy trains one."
        findings.add("/teacher", message, remedy, "classes_differ", teacher_classes=ours, dataset_classes=theirs)


def classes_of(dataset: Dataset) -> int | None:
    """Number of classes that the inspection counted."""
    classes = (dataset.report or {}).get("classes")
    return len(classes) if isinstance(classes, list | dict) else classes
