"""Settings from files: `RETORT_API_KEY_FILE=/run/retort/api_key` means RETORT_API_KEY is what that file holds.

Secrets that compose or Kubernetes mount are files; in the environment they would show in `docker inspect`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

SUFFIX = "_FILE"
MOST_BYTES = 64 * 1024


class SecretFiles(PydanticBaseSettingsSource):
    """A value that is set directly, and not empty, wins over its file, which is then not read."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.config.get('env_prefix', '')}{field_name}".upper()
        path = os.environ.get(variable + SUFFIX, "")
        if not path or field_name in self.current_state or os.environ.get(variable):
            return None, field_name, False
        return _read(variable + SUFFIX, Path(path)), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _read(variable: str, path: Path) -> str:
    """The file's text without the line's end. Raises `ValueError` with the remedy, never with what the file holds."""
    try:
        content = path.read_bytes()[: MOST_BYTES + 1]
    except OSError as error:
        raise ValueError(
            f"{variable} names {path}, which cannot be read ({error.strerror}). Mount the file so that user "
            f"{os.geteuid()} can read it, or set {variable.removesuffix(SUFFIX)} itself."
        ) from error
    if len(content) > MOST_BYTES or b"\0" in content:
        raise ValueError(f"{variable} names {path}, which is no text of one value.")
    value = content.decode(errors="replace").strip()
    if not value:
        raise ValueError(f"{variable} names {path}, which is empty. Write the value into it.")
    return value
