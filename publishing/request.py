"""A publication as it is asked for, and what is checked before a worker sees it. Loads no client library."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from distill import parameters
from distill.errors import InvalidConfig
from distill.strict_model import Model
from publishing import targets

NAME = r"^[A-Za-z0-9_.-]{1,63}$"


class PublicationRequest(Model):
    """Where a finished student is to be handed over."""

    target: str = Field(
        min_length=1, max_length=60, description="Name from the catalogue's targets.", examples=["huggingface"],
    )  # fmt: skip
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="The target's own. Any member of the body that is none of its fields counts as one of them.",
        examples=[{"repository": "me/student"}],
    )
    secret: str | None = Field(
        None, pattern=NAME, description="Name of the secret (PUT /secrets/NAME) with the credentials.", examples=["hub"]
    )

    @model_validator(mode="before")
    @classmethod
    def _parameters_beside(cls, given: Any) -> Any:
        """`{"target": "huggingface", "repository": ...}` is the short form."""
        if not isinstance(given, dict) or not isinstance(given.get("parameters", {}), dict):
            return given
        beside = {name: value for name, value in given.items() if name not in cls.model_fields}
        if not beside:
            return given
        own = {name: value for name, value in given.items() if name in cls.model_fields}
        return own | {"parameters": {**beside, **given.get("parameters", {})}}


def check_parameters(target: str, given: dict[str, Any]) -> None:
    """Raises `UnknownName` for a target that there is not, `InvalidConfig` for a parameter that is wrong or missing."""
    schema = targets.registry.parameters(target)
    parameters.check(schema, given)
    for name, each in schema.items():
        if "default" not in each and name not in given:
            raise InvalidConfig(f"{target} needs the parameter {name!r}.", each["description"], {"parameter": name})


def whole(target: str, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters with every default filled in."""
    schema = targets.registry.parameters(target)
    return {name: each["default"] for name, each in schema.items() if "default" in each} | given


def urls(target: str, given: dict[str, Any]) -> dict[str, str]:
    """Those of the parameters that are URLs, by name."""
    schema = targets.registry.parameters(target)
    return {name: str(value) for name, value in given.items() if schema.get(name, {}).get("format") == "uri"}
