"""The model card in a repository of the hub: the delivered one, with the metadata that the hub reads."""

from __future__ import annotations

import json
from typing import Any

from publishing.bundle import CARD, Bundle

_TIMM = """import timm

model = timm.create_model("hf-hub:{repository}", pretrained=True).eval()
"""
_TRANSFORMERS = """from transformers import {kind}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repository}")
model = {kind}.from_pretrained("{repository}").eval()
"""
KINDS = {"text-classification": "AutoModelForSequenceClassification", "text-generation": "AutoModelForCausalLM"}


def card(bundle: Bundle, repository: str, library: str | None, pipeline: str | None) -> str:
    """README.md: metadata, the delivered card, and how the repository is loaded."""
    own = bundle.path(CARD).read_text(encoding="utf-8") if bundle.has(CARD) else f"# {bundle.title}\n"
    parts = [_front(_metadata(bundle, library, pipeline)), own.rstrip() + "\n", _loading(repository, library, pipeline)]
    return "\n".join(part for part in parts if part)


def _metadata(bundle: Bundle, library: str | None, pipeline: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"tags": ["knowledge-distillation", "retort"]}
    told |= {"library_name": library} if library else {}
    return told | ({"pipeline_tag": pipeline} if pipeline else {})


def _front(told: dict[str, Any]) -> str:
    """YAML, of which JSON is a part: no value needs quoting rules of its own."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in told.items()]
    return "\n".join(["---", *lines, "---", ""])


def _loading(repository: str, library: str | None, pipeline: str | None) -> str:
    if library == "timm":
        program = _TIMM.format(repository=repository)
    elif library == "transformers" and pipeline in KINDS:
        program = _TRANSFORMERS.format(repository=repository, kind=KINDS[pipeline])
    else:
        return ""
    return f"## From the hub\n\n```python\n{program}```\n"
