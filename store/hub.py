"""Checkpoints on the Hugging Face hub (or a mirror in its layout): which URLs a pinned revision has."""

from __future__ import annotations

from urllib.parse import quote

from store.egress import UrlRefused
from store.references import WebReference
from store.settings import Settings

#: A repository as the hub names it; neither part begins with a dot.
REPOSITORY = r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,95}$"
REVISION = r"^[0-9a-f]{40}$"


def check_allowed(settings: Settings) -> None:
    """Raises `UrlRefused` unless the operator lets the service call the hub."""
    if not settings.huggingface:
        remedy = "Have the operator set RETORT_HUGGINGFACE=true, or download the file and upload it here."
        raise UrlRefused("Teachers from the Hugging Face hub are not allowed here.", remedy)


def listing(settings: Settings, repository: str, revision: str) -> WebReference:
    """The files at the top of a repository, as JSON."""
    url = f"{settings.huggingface_endpoint}/api/models/{repository}/tree/{revision}"
    return WebReference(url, settings.huggingface_policy, "tree.json")


def file(settings: Settings, repository: str, revision: str, name: str) -> WebReference:
    """One of them."""
    url = f"{settings.huggingface_endpoint}/{repository}/resolve/{revision}/{quote(name)}"
    return WebReference(url, settings.huggingface_policy, name)
