"""The model card in a repository of the hub: the delivered one, with the metadata that the hub reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from publishing.bundle import CARD, Bundle
from publishing.licences import Licence, common, section

_TIMM = """import timm

model = timm.create_model("hf-hub:{repository}", pretrained=True).eval()
"""
_TRANSFORMERS = """from transformers import {kind}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repository}")
model = {kind}.from_pretrained("{repository}").eval()
"""
KINDS = {"text-classification": "AutoModelForSequenceClassification", "text-generation": "AutoModelForCausalLM"}


def card(
    bundle: Bundle, repository: str, library: str | None, pipeline: str | None, licences: Sequence[Licence] = ()
) -> str:
    """README.md: metadata, the delivered card, how the repository is loaded, and licences of what it was made of."""
    own = bundle.path(CARD).read_text(encoding="utf-8") if bundle.has(CARD) else f"# {bundle.title}\n"
    told = _metadata(library, pipeline, common(licences))
    loading = _loading(repository, library, pipeline)
    parts = [_front(told), own.rstrip() + "\n", loading, section(licences)]
    return "\n".join(part for part in parts if part)


def _metadata(library: str | None, pipeline: str | None, licence: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"tags": ["knowledge-distillation", "retort"]}
    told |= {"license": licence.lower()} if licence else {}
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
