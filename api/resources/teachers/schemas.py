"""Bodies of /teachers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from api.http.paging import PageInfo
from api.http.schemas import Labels, Name, RequestModel, ResponseModel
from distill.types import Architecture, TeacherPreprocessing
from store.hub import REPOSITORY, REVISION

MOST_FILES = 1001
ARTIFACT_EXAMPLE = {
    "artifact": {"job_id": "job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES", "name": "student.safetensors"},
    "name": "our teacher",
    "labels": {"team": "vision"},
}
FORM_EXAMPLE = {
    "architecture": "timm:resnet34",
    "name": "ResNet-34",
    "labels": '{"team": "vision"}',
    "file": ["<bytes>"],
}
FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file", "architecture"],
    "additionalProperties": False,
    "properties": {
        "file": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_FILES,
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "description": "A safetensors or `torch.save` file, an archive of shards, or (the field again and again) "
            "`model.safetensors.index.json` with all its shards. Of a language model (`transformers:...`) config.json, "
            "safetensors and the tokenizer's files, each or as one zip.",
        },
        "architecture": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Catalogue name."},
        "options": {"type": "string", "description": "JSON object: the constructor's keyword arguments."},
        "name": {"type": "string", "maxLength": 200},
        "labels": {"type": "string", "description": "JSON object of strings."},
        "preprocessing": {
            "type": "string",
            "description": "JSON object: how it sees pictures (`TeacherPreprocessing`), where its file does not tell.",
        },
    },
}


class ArtifactReference(RequestModel):
    """A file that one of your jobs made."""

    job_id: str = Field(max_length=60)
    name: str = Field(
        "student.safetensors", max_length=200, description="Either name of a student's file finds the job's student."
    )


class TeacherFromArtifact(RequestModel):
    """Register a finished job's student as a teacher; the architecture is that job's."""

    artifact: ArtifactReference
    name: Name = ""
    labels: Labels = Field(default_factory=dict)


class TeacherForm(RequestModel):
    """The fields beside the file of a multipart registration."""

    architecture: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    options: dict[str, bool | int | float | str | list[int]] = Field(default_factory=dict)
    name: Name = ""
    labels: Labels = Field(default_factory=dict)
    preprocessing: TeacherPreprocessing | None = Field(
        None, description="How it sees pictures, where its file does not tell; of networks of pictures alone."
    )


class TeacherFromUpload(TeacherForm):
    """Register an upload that is complete."""

    upload: str = Field(max_length=60, description="Id of the upload.")


class TeacherFromUploads(TeacherForm):
    """Register uploads that are complete: the shards of one checkpoint with their index."""

    uploads: list[Annotated[str, Field(max_length=60)]] = Field(
        min_length=1, max_length=MOST_FILES, description="Ids of the uploads, each with its file's own name."
    )


class HubReference(RequestModel):
    """A repository of the Hugging Face hub, at one commit."""

    repo_id: str = Field(pattern=REPOSITORY, max_length=193, examples=["timm/resnet34.a1_in1k"])
    revision: str = Field(pattern=REVISION, description="The whole commit: a branch may move.", examples=["0" * 40])


class TeacherFromHub(TeacherForm):
    """Register the checkpoint of a repository, where the operator allows it: its weights are fetched and treated as an
    upload is; none of its code is."""

    huggingface: HubReference


class SentFile(ResponseModel):
    """A file as it was sent."""

    filename: str = Field(examples=["pytorch_model.bin"])
    size_bytes: int = Field(examples=[87_000_000])
    sha256: str = Field(examples=["1" * 64])


class TeacherSource(ResponseModel):
    """What the weights were made of, where they were not sent as one safetensors file."""

    files: list[SentFile]
    huggingface: HubReference | None = Field(None, description="Where they were fetched from.", examples=[None])
    notes: list[str] = Field(
        [], description="What the conversion changed or left out.", examples=[["The weights were taken from 'model'."]]
    )
    isolation: str = Field("", description="What held the converter's process.", examples=["own root, seccomp"])


class TeacherOut(ResponseModel):
    """A registered teacher. `report` is what the inspection found; jobs can use it when `status` is `ready`."""

    id: str = Field(examples=["tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    name: str = Field(examples=["ResNet-34"])
    status: Literal["inspecting", "ready", "invalid"] = Field(examples=["ready"])
    architecture: Architecture
    size_bytes: int = Field(examples=[87_000_000])
    sha256: str = Field(
        description="Of the safetensors file; until one is made, of what was sent; empty until it is fetched.",
        examples=["0" * 64],
    )
    source: TeacherSource | None = Field(
        description="What was sent, where a worker converts it; null for a safetensors file.", examples=[None]
    )
    preprocessing: TeacherPreprocessing | None = Field(
        None, description="What was told at registration; `report.preprocessing` is what came of it.", examples=[None]
    )
    report: dict[str, Any] | None = Field(examples=[{"num_classes": 10, "parameters": 21_289_802}])
    error: dict[str, Any] | None = Field(examples=[None])
    labels: dict[str, str] = Field(examples=[{"team": "vision"}])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class TeacherPage(PageInfo):
    """Teachers, newest first."""

    items: list[TeacherOut]
