"""What a request sent comes back in errors: of something very long the start, and how long it was."""

from __future__ import annotations

import re
from typing import Any

MOST = 200
"""Characters of a name that an error repeats in full (our choice)."""
MOST_IN_ALL = 4000
"""Characters of a sentence: some list what there is."""
SPARED = 40  # for the length
_LONG = re.compile(rf"'[^']{{{MOST + 1},}}'|\"[^\"]{{{MOST + 1},}}\"|[^\s'\"]{{{MOST + 1},}}")


def shortened(text: str) -> str:
    """The text with every quotation and every word of more than `MOST` characters cut to its start and its length, and
    cut itself beyond `MOST_IN_ALL`."""
    return _start(_LONG.sub(_cut, text), MOST_IN_ALL)


def _cut(found: re.Match[str]) -> str:
    word = found[0]
    quote = word[0] if word[0] in "'\"" else ""
    return f"{quote}{_start(word[1:-1] if quote else word, MOST)}{quote}"


def _start(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - SPARED]}... ({len(text):,} characters)"


def all_shortened(value: Any) -> Any:
    """The same of every string among facts (JSON)."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, dict):
        return {shortened(str(key)): all_shortened(each) for key, each in value.items()}
    return [all_shortened(each) for each in value] if isinstance(value, list | tuple) else value
