"""Whether two lists of class names mean the same classes in the same order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

Arrangement = Literal["same", "permuted", "different"]
_BETWEEN = re.compile(r"[\s_\-]+")
_NUMBERED = re.compile(r"(label|class)?\s*\d+", re.IGNORECASE)


def arrangement(theirs: Sequence[str], ours: Sequence[str]) -> Arrangement:
    """`same`: class i of both is one class; `permuted`: the same classes in another order, so that logit i means
    another class; `different`: not the same classes, as far as names tell (LABEL_0, numbers against names).

    Names are compared composed (NFC), by casefold, with `_`, `-` and spaces alike ("Hot_dog" is "hot dog"). Where that
    makes two names of one list equal, they are compared as written."""
    left, right = _keys(theirs), _keys(ours)
    if len(set(left)) < len(left) or len(set(right)) < len(right):
        left, right = list(theirs), list(ours)
    if left == right:
        return "same"
    return "permuted" if sorted(left) == sorted(right) else "different"


def placeholders(names: Sequence[str]) -> bool:
    """Whether the names say no more than the classes' numbers: "0", "LABEL_0", "class 0"."""
    return all(_NUMBERED.fullmatch(key) for key in _keys(names))


def _keys(names: Sequence[str]) -> list[str]:
    return [_BETWEEN.sub(" ", unicodedata.normalize("NFC", name).casefold()).strip() for name in names]
