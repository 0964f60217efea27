"""What a format cannot hold, with the operator that its converter stumbled over."""

from __future__ import annotations

import re

from distill.errors import UserError


class NotExportable(UserError):
    """The format cannot hold this network, or the task has no graph; names the operator where there is one."""

    code = "not_exportable"


_OPERATOR = re.compile(r"\b(?:aten|prims|torchvision|quantized|timm|retort)(?:\.|::)\w+(?:\.\w+)?")


def not_exportable(title: str, error: BaseException) -> NotExportable:
    """The refusal, with the operator that a converter stumbled over where its error names one."""
    told = _chain(error)
    operator = next((found.group() for text in told if (found := _OPERATOR.search(text))), None)
    first = next((line for text in told for line in text.strip().splitlines() if line.strip()), type(error).__name__)
    why = f"of the operator {operator}" if operator else f"the converter says: {first.strip()[:300]}"
    return NotExportable(
        f"This network cannot be written as {title}: {why}.",
        "Ask for another format, or distil into another architecture.",
        {"format": title, "operator": operator, "error": first.strip()[:300]},
    )


def _chain(error: BaseException | None) -> list[str]:
    """The texts of an error and of its causes, the innermost first."""
    texts: list[str] = []
    while error is not None and len(texts) < 10:
        texts.insert(0, str(error))
        error = error.__cause__ or error.__context__
    return texts
