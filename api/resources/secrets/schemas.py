"""Bodies of /secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr

from api.http.schemas import RequestModel, ResponseModel

SecretValue = Annotated[SecretStr, Field(min_length=1, max_length=8000)]
PartName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
ALONE = "token"


class SecretPut(RequestModel):
    """Credentials of one account elsewhere."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"value": "hf_..."}, {"value": {"access_key": "...", "secret_key": "..."}}]},
    )
    value: SecretValue | Annotated[dict[PartName, SecretValue], Field(min_length=1, max_length=8)] = Field(
        description="One text, which counts as `token`; or several by name, as the target's `credentials` in the "
        "catalogue say."
    )

    def values(self) -> dict[str, str]:
        """The credentials themselves, by their names."""
        given = self.value if isinstance(self.value, dict) else {ALONE: self.value}
        return {name: each.get_secret_value() for name, each in given.items()}


class SecretOut(ResponseModel):
    """That there is a secret of this name. Its values are in no answer."""

    name: str = Field(examples=["hub"])
    parts: list[str] = Field(description="Names of its values.", examples=[["token"]])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    updated_at: datetime = Field(description="When its values were last replaced.", examples=["2026-01-31T12:00:00Z"])


class SecretList(ResponseModel):
    """All of them, by name."""

    items: list[SecretOut]
