"""Language models in the Hugging Face layout: a folder or zip of config.json, safetensors and tokenizer files.

Classes come from transformers' own registry, by `model_type`, for the families of `distill.language_families`; neither
remote code nor pickles are ever loaded. transformers is an optional part (`pip install retort[text]`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.models.language.folder import Folder, open_folder
    from distill.models.language.loading import Found, examine, load
    from distill.models.language.network import Task, build
    from distill.models.language.saving import save_folder
    from distill.models.language.student import make_student
    from distill.models.language.tokenizer import Tokens

__all__ = [
    "Folder",
    "Found",
    "Task",
    "Tokens",
    "build",
    "examine",
    "load",
    "make_student",
    "open_folder",
    "save_folder",
]

_HOMES = {
    "folder": ("Folder", "open_folder"),
    "loading": ("Found", "examine", "load"),
    "network": ("Task", "build"),
    "saving": ("save_folder",),
    "student": ("make_student",),
    "tokenizer": ("Tokens",),
}


def __getattr__(name: str) -> Any:
    for module, members in _HOMES.items():
        if name in members:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
