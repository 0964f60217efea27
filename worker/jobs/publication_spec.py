"""What a publisher process is told, in a file. Credentials are no part of it."""

from __future__ import annotations

from typing import Any, Literal

from distill.strict_model import Model

SPEC, BUNDLE, HOME = "spec.json", "bundle.json", "home"


class PublicationSpec(Model):
    """`what`: hand a student over, tell of a job while it runs, or say that it ended without one. `parameters`: whole.
    `hosts`, `http_hosts`, `networks`: the operator's policy, as its settings have it."""

    what: Literal["publish", "follow", "failed", "cancelled"] = "publish"
    target: str
    parameters: dict[str, Any]
    hosts: str
    http_hosts: str
    networks: str
    huggingface_endpoint: str
