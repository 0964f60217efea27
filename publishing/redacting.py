"""Takes credentials out of what a client library, a server or a traceback says."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

MASK = "***"
SHORTEST = 4  # characters; a shorter value would blacken ordinary words


class Redactor:
    """Replaces each value wherever it stands: as it is, quoted for a URL, in base64, also with a user's name before."""

    def __init__(self, values: Iterable[str]) -> None:
        known = [value for value in values if len(value) >= SHORTEST]
        pairs = [f"{user}:{word}" for user in known for word in known]
        forms = {*known, *(quote(value, safe="") for value in known), *map(_encoded, [*known, *pairs])}
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, said: str) -> str:
        for form in self._forms:
            said = said.replace(form, MASK)
        return said

    def value(self, said: Any) -> Any:
        """The same in whatever JSON holds, names of members too."""
        if isinstance(said, str):
            return self.text(said)
        if isinstance(said, dict):
            return {self.text(str(name)): self.value(each) for name, each in said.items()}
        if isinstance(said, list | tuple):
            return [self.value(each) for each in said]
        return said


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
