"""Kinds of detectors: what the output of each means, and how it is taught. A network names its kind in `answers`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from distill.errors import InvalidTeacher
from distill.models.anchors import DEFAULT_BOXES, SIGMOIDS
from distill.models.points import POINTS
from distill.models.proposals import PROPOSALS
from distill.models.queries import QUERIES, REFINED_QUERIES
from distill.tasks.detect_objects.heads.anchors import AnchorHead
from distill.tasks.detect_objects.heads.base import Head, Scored
from distill.tasks.detect_objects.heads.default_boxes import DefaultBoxHead
from distill.tasks.detect_objects.heads.files import FINAL, FLAT, FinalHead, FlatHead
from distill.tasks.detect_objects.heads.points import PointHead
from distill.tasks.detect_objects.heads.proposals import ProposalHead
from distill.tasks.detect_objects.heads.queries import QueryHead
from distill.tasks.detect_objects.heads.refined_queries import RefinedQueryHead

__all__ = ["HEADS", "Head", "Scored", "head_of"]

HEADS: Mapping[str, type[Head]] = MappingProxyType(
    {
        POINTS: PointHead,
        SIGMOIDS: AnchorHead,
        DEFAULT_BOXES: DefaultBoxHead,
        PROPOSALS: ProposalHead,
        QUERIES: QueryHead,
        REFINED_QUERIES: RefinedQueryHead,
        FLAT: FlatHead,
        FINAL: FinalHead,
    }
)


def head_of(network: nn.Module) -> Head:
    """Raises `InvalidTeacher` for a network that is no detector."""
    kind = HEADS.get(getattr(network, "answers", ""))
    if kind is None:
        raise InvalidTeacher(f"{type(network).__name__} is no detector.", "Name a detector.")
    return kind.of(network)
