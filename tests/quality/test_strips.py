"""A Gram matrix by strips gives what the whole one gives."""

from __future__ import annotations

import math
from dataclasses import astuple, fields
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distill.quality import knowledge_quality
from distill.quality.bootstrap import standard_errors
from distill.quality.classes import group
from distill.quality.gram import MatrixColumns, PickedColumns
from distill.quality.kernel import Kernel, StripKernel, WholeKernel
from distill.quality.metric import KnowledgeQuality, from_kernel
from tests.quality.test_exact import CASES, COSINE, FIELDS, agree, by_matrices, dominant, even, many_classes_of_five, normal

CPU = torch.device("cpu")


def both(features: Tensor, labels: Tensor, height: int, buffer_bytes: int, replicates: int = 0, rows: Tensor | None = None):
    """Quality, whether it was refined, and standard errors: of the whole matrix, and by strips."""
    classes = group(labels)
    given = MatrixColumns(features, classes.order, buffer_bytes)
    columns = given if rows is None else PickedColumns(given, rows)
    if rows is not None:
        classes = group(classes.sorted[rows])
    found = []
    kinds = WholeKernel, partial(StripKernel, height=height)
    for kind, together in zip(kinds, (replicates or 1, 3), strict=True):
        kernel: Kernel = kind(columns, classes.samples, CPU)
        quality, refined = from_kernel(kernel, columns, classes, 50_000)
        errors = {}
        if replicates:
            geometry = kernel.centred() if refined else kernel
            errors = standard_errors(kernel, geometry, classes, 50_000, replicates, 3, together)
        found.append((quality, refined, errors))
    return found


def same(ours: KnowledgeQuality, theirs: KnowledgeQuality, rel: float = 1e-9) -> None:
    for field in fields(ours):
        allowed = COSINE if field.name in ("separation", "intra", "inter") else 1e-13
        assert getattr(ours, field.name) == pytest.approx(getattr(theirs, field.name), rel=rel, abs=allowed), field.name


@pytest.mark.parametrize("height", [1, 7, 32, 1000])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_strips_of_any_height_give_the_whole_matrix_values(case, height):
    features, labels = case()
    height = min(height, len(labels))
    (whole, refined, _), (strips, again, _) = both(features, labels, height, 8 * 60 * 64)
    print(case.__name__, refined, again, [(getattr(whole, f) - getattr(strips, f)) for f in FIELDS])
    assert again == refined
    same(strips, whole)
