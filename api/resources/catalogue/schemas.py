"""Bodies of /catalogue."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from api.http.paging import PageInfo
from api.http.schemas import ResponseModel


class ArchitectureOut(ResponseModel):
    """A network that workers can build. `options`, where they are listed: a student's, as JSON Schema properties."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field(examples=["timm:resnet34"])


class ArchitecturePage(PageInfo):
    """Architectures by name."""

    items: list[ArchitectureOut]


class EntryOut(ResponseModel):
    """A recipe, loss or selection rule with its own parameters as JSON Schema properties."""

    name: str = Field(examples=["feature_only"])
    summary: str = Field(examples=["Train the backbone on the teacher's features alone."])
    parameters: dict[str, dict[str, Any]] = Field(examples=[{"grid": {"type": "integer", "minimum": 1, "default": 2}}])


class RecipeOut(EntryOut):
    """A recipe."""

    needs_teacher: bool = Field(examples=[True])
    needs_layers: bool = Field(description="Whether it scores layers and so makes a Q curve.", examples=[True])


class NamedDatasetOut(ResponseModel):
    """A data set that workers know by name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field(examples=["fashion-mnist"])


class RecipeList(ResponseModel):
    items: list[RecipeOut]


class EntryList(ResponseModel):
    items: list[EntryOut]


class NamedDatasetList(ResponseModel):
    items: list[NamedDatasetOut]


class CatalogueOut(ResponseModel):
    """Everything but the architectures, which are many: GET /catalogue/architectures pages through them."""

    recipes: list[RecipeOut]
    losses: list[EntryOut]
    selections: list[EntryOut]
    datasets: list[NamedDatasetOut]
    architectures: int = Field(description="How many there are.", examples=[1400])
