"""What a publisher process is told, in a file. Credentials are no part of it."""

from __future__ import annotations

from typing import Any

from distill.strict_model import Model

SPEC, BUNDLE, HOME = "spec.json", "bundle.json", "home"


class PublicationSpec(Model):
    """`parameters`: whole. `hosts`, `http_hosts`, `networks`: the operator's policy, as its settings have it."""

    target: str
    parameters: dict[str, Any]
    hosts: str
    http_hosts: str
    networks: str
    huggingface_endpoint: str
