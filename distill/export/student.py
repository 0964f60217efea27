"""The student's weights, with what is needed to use them in the header; the same as student.json. So of every network
that is delivered beside it."""

from __future__ import annotations

from pathlib import Path

from distill.export._base import Artifact, Context


def export(context: Context, folder: Path) -> list[Artifact]:
    networks = (context, *context.companions)
    return [artifact for network in networks for artifact in network.delivery.weights(network, folder)]


ENTRY = export
