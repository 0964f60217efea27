"""Bodies of /datasets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from api.http.paging import PageInfo
from api.http.schemas import Labels, Name, RequestModel, ResponseModel
from distill.types import (
    BOX_FORMAT,
    CLASSES_FROM,
    DECODE,
    INSPECTION,
    PIXEL_RANGE,
    BoxFormat,
    ClassesFrom,
    Decode,
    Inspected,
    PixelRange,
)
from store.dataset_files import MOST

CLASSES = "Of tars (WebDataset): what the numbers of labels mean, class 0 first; none: the numbers are the names."
NAMED_EXAMPLE = {"named": "fashion-mnist", "labels": {"team": "vision"}}
FORM_EXAMPLE = {"name": "our photographs", "labels": '{"team": "vision"}', "file": "<bytes>"}
_FILE = {
    "type": "array", "minItems": 1, "maxItems": MOST,
    "items": {"type": "string", "contentMediaType": "application/octet-stream"},
}  # fmt: skip
SEVERAL = "Several, in their order: plain tars (WebDataset), or parquet files."
TASK = "Name of a task (GET /catalogue/tasks); empty: the files tell. Files of another task are refused."
UNLABELLED = "Training images without labels, beside the others or alone; its folders are no classes."
FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "Either `file` (split by the service), or `train` with or without `test`; with these, or alone, "
    "`unlabelled`. Each is a file, or (the field again and again) several, which are read as one.",
    "properties": {
        "file": _FILE
        | {"description": f"ImageFolder zip or tar; parquet, CSV or JSON Lines of images or texts. {SEVERAL}"},
        "train": _FILE | {"description": f"The training part. {SEVERAL}"},
        "test": _FILE | {"description": f"The test part; without it one is held out. {SEVERAL}"},
        "unlabelled": _FILE | {"description": f"{UNLABELLED} {SEVERAL}"},
        "name": {"type": "string", "maxLength": 200},
        "task": {"type": "string", "maxLength": 60, "description": TASK},
        "pixel_range": {"type": "string", "description": f"JSON: [low, high]. {PIXEL_RANGE}"},
        "box_format": {"type": "string", "enum": list(get_args(BoxFormat)), "description": BOX_FORMAT},
        "classes": {"type": "string", "description": f"JSON: a list of names. {CLASSES}"},
        "classes_from": {"type": "string", "enum": list(get_args(ClassesFrom)), "description": CLASSES_FROM},
        "labels": {"type": "string", "description": "JSON object of strings."},
    },
}
UploadId = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Uploads = Annotated[
    UploadId | Annotated[list[UploadId], Field(min_length=1, max_length=MOST)],
    Field(examples=["upl_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"]),
]
NamedSet = Annotated[str, StringConstraints(min_length=1, max_length=200)]
TaskName = Annotated[str, Field(max_length=60, description=TASK)]


SHARDS = (
    "WebDataset tars or parquet files, by braces (`https://host/{000000..001281}.tar`), by the folder of a bucket or "
    "of a dataset of the hub (`s3://bucket/photos/train-*.tar`), by a list (`https://host/photos/list.txt`), or each "
    "by its URL; a URL, or several in their order."
)
ShardUrl = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Shards = Annotated[
    ShardUrl | Annotated[list[ShardUrl], Field(min_length=1, max_length=10_000)],
    Field(examples=["s3://photos/train-{000000..001281}.tar"]),
]
ClassNames = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=255)]], Field(min_length=2, max_length=100_000)
]


class NamedDataset(RequestModel):
    """A data set that the service knows by name; GET /catalogue/datasets lists them."""

    named: NamedSet
    task: TaskName = ""
    labels: Labels = Field(default_factory=dict)


class DatasetFromUploads(RequestModel):
    """Register uploads that are complete: `upload` (split by the service), or `train` with or without `test`; with
    these, or alone, `unlabelled`. Each is an upload or a list of them, which are read as one."""

    upload: Uploads | None = Field(None, description=f"Id of the upload of the whole. {SEVERAL}")
    train: Uploads | None = Field(None, description=f"Id of the upload of the training part. {SEVERAL}")
    test: Uploads | None = Field(None, description=f"Id of the upload of the test part. {SEVERAL}")
    unlabelled: Uploads | None = Field(None, description=f"Id of an upload. {UNLABELLED} {SEVERAL}")
    name: Name = ""
    task: TaskName = ""
    pixel_range: PixelRange | None = Field(None, description=PIXEL_RANGE, examples=[[0, 4095]])
    box_format: BoxFormat = Field("", description=BOX_FORMAT, examples=["cxcywh_relative"])
    classes: ClassNames | None = Field(None, description=CLASSES, examples=[None])
    classes_from: ClassesFrom = Field("", description=CLASSES_FROM)
    labels: Labels = Field(default_factory=dict)


class Reference(RequestModel):
    """A file that a worker fetches once, when the dataset is inspected; jobs run on the copy that it keeps."""

    url: str = Field(
        min_length=1,
        max_length=2000,
        description="https://... of a host, or s3://bucket/key of a bucket, that the operator allows; where the hub is "
        "allowed, hf://datasets/OWNER/NAME@COMMIT/PATH.",
        examples=["https://data.example.org/flowers.zip"],
    )
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="What the file must have; refused where it has another."
    )


class DatasetFromReferences(RequestModel):
    """Register files that the service fetches itself: `reference` (split by the service), or `train_reference` with or
    without `test_reference`; with these, or alone, `unlabelled_reference`."""

    reference: Reference | None = None
    train_reference: Reference | None = None
    test_reference: Reference | None = None
    unlabelled_reference: Reference | None = Field(None, description=UNLABELLED)
    name: Name = ""
    task: TaskName = ""
    pixel_range: PixelRange | None = Field(None, description=PIXEL_RANGE, examples=[[0, 4095]])
    box_format: BoxFormat = Field("", description=BOX_FORMAT, examples=["cxcywh_relative"])
    labels: Labels = Field(default_factory=dict)


class DatasetFromShards(RequestModel):
    """Register a dataset that stays where it lies: `shards` (split by the service), or `train_shards` with or without
    `test_shards`. A worker reads all of it once; jobs fetch a shard when they first need it."""

    mode: Literal["stream"]
    shards: Shards | None = Field(None, description=SHARDS)
    train_shards: Shards | None = Field(None, description="The shards that train, named as in `shards`.")
    test_shards: Shards | None = Field(None, description="The shards that test; without them samples are held out.")
    classes: ClassNames | None = Field(
        None, description="What the numbers of labels mean, class 0 first; null: the shards tell.", examples=[None]
    )
    classes_from: ClassesFrom = Field("", description=CLASSES_FROM)
    decode: Decode = Field("bounded", description=DECODE)
    inspection: Inspected = Field("all", description=INSPECTION)
    name: Name = ""
    task: TaskName = ""
    labels: Labels = Field(default_factory=dict)


class DatasetForm(RequestModel):
    """The fields beside the files of a multipart registration."""

    name: Name = ""
    task: TaskName = ""
    pixel_range: PixelRange | None = Field(None, description=PIXEL_RANGE, examples=[[0, 4095]])
    box_format: BoxFormat = Field("", description=BOX_FORMAT, examples=["cxcywh_relative"])
    classes: ClassNames | None = Field(None, description=CLASSES, examples=[None])
    classes_from: ClassesFrom = Field("", description=CLASSES_FROM)
    labels: Labels = Field(default_factory=dict)


class Thumbnails(ResponseModel):
    """A contact sheet of `rows` x `columns` square tiles: row i shows the first training images of class i. Tiles
    without an image are white."""

    href: str = Field(examples=["/datasets/dst_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/thumbnails"])
    rows: int = Field(examples=[10])
    columns: int = Field(examples=[8])
    tile: int = Field(description="Side of a tile in pixels.", examples=[64])
    size_bytes: int = Field(examples=[45_924])
    sha256: str = Field(examples=["0" * 64])


class StreamedShards(ResponseModel):
    """Where a streamed dataset lies, and what was told of the classes of tars, uploaded ones too. `given`: role -> what
    named its shards; empty: they were uploaded, and are `files`."""

    given: dict[str, list[str]] = Field(examples=[{"all": ["s3://photos/train-{000000..001281}.tar"]}])
    classes: list[str] | None = Field(description="As they were given.", examples=[None])
    classes_from: ClassesFrom = Field("", description=CLASSES_FROM)
    decode: Decode = Field("bounded", description=DECODE)
    inspection: Inspected = Field("all", description=INSPECTION)
    count: int | None = Field(None, description="How many shards; null until they were read.", examples=[1282])
    size_bytes: int | None = Field(
        None, description="Of all shards; null until they were read.", examples=[150 * 10**9]
    )


class Reading(ResponseModel):
    """How far a dataset of shards is that several workers read at the same time."""

    parts: int = Field(description="Each is some shards in a row, and is read by one worker.", examples=[160])
    parts_read: int = Field(examples=[37])
    shards: int = Field(examples=[1282])
    shards_read: int = Field(examples=[301])
    bytes_read: int = Field(examples=[35 * 10**9])
    bytes: int | None = Field(
        None, description="Of all shards; null where nobody knows before they were read.", examples=[150 * 10**9]
    )


class Sample(ResponseModel):
    """What a sample of a dataset's shards holds: preliminary, until all of it was read. The estimates take the shards
    that were not read for such as these."""

    shards: int = Field(description="Spread evenly over all; at most 16, of 2 GiB.", examples=[16])
    of_shards: int = Field(examples=[1282])
    bytes: int = Field(description="Of the shards that were read.", examples=[1_870_000_000])
    images: int = Field(examples=[15_987])
    estimated_bytes: int = Field(examples=[150 * 10**9])
    estimated_images: int = Field(examples=[1_281_000])
    unreadable: int = Field(description="Of the images.", examples=[0])
    labelled: int = Field(description="Images that say a class themselves.", examples=[15_987])
    class_count: int = Field(description="Classes that were seen; there may be more.", examples=[1000])
    classes: list[str] = Field(description="The first 100 of them by name.", examples=[["n01440764", "n01443537"]])
    heights: list[int] | None = Field(description="Minimum, median, maximum.", examples=[[75, 375, 3456]])
    widths: list[int] | None = Field(examples=[[60, 500, 4288]])


class DatasetOut(ResponseModel):
    """A registered dataset. `report` is what the inspection found; jobs can use it when `status` is `ready`."""

    id: str = Field(examples=["dst_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    name: str = Field(examples=["fashion-mnist"])
    kind: Literal["named", "archive", "parquet", "table", "reference", "shards"] = Field(
        description="`reference` until a worker has fetched the files and looked what they are.", examples=["named"]
    )
    task: str | None = Field(
        description="Name of the task that it is for; null until it is inspected, unless it was asked for.",
        examples=["classify_images"],
    )
    status: Literal["inspecting", "ready", "invalid", "sampled"] = Field(
        description="`sampled`: a sample was read, as was asked for; jobs cannot use it before the rest is.",
        examples=["ready"],
    )
    files: dict[str, dict[str, Any]] = Field(
        description="Role -> size, sha256 and name of the file; of a role of several files `train/0000`, `train/0001`, "
        "... in their order.",
        examples=[{"all": {"filename": "photos.zip", "size_bytes": 1024, "sha256": "0" * 64}}],
    )
    size_bytes: int = Field(description="What the service keeps: of a streamed dataset its index.", examples=[1024])
    digest: str = Field(examples=["0" * 64])
    mode: Literal["copy", "stream"] = Field(
        description="`copy`: the service keeps the files. `stream`: they stay where they lie, see `shards`.",
        examples=["copy"],
    )
    shards: StreamedShards | None = Field(
        None, description="Null for a dataset that the service keeps, but where its tars came with `classes`."
    )
    sample: Sample | None = Field(
        None, description="Of a large dataset until all of it was read: what a sample holds.", examples=[None]
    )
    reading: Reading | None = Field(
        None, description="While it is inspected in parts: how far that is; null otherwise.", examples=[None]
    )
    pixel_range: list[int] | None = Field(None, description=PIXEL_RANGE, examples=[None])
    box_format: str = Field("", description=BOX_FORMAT, examples=[""])
    report: dict[str, Any] | None = Field(
        description="What the inspection found, with `task`: the rest is the task's own.",
        examples=[
            {"task": "classify_images", "classes": ["cat", "dog"], "counts": {"train": [400, 380], "test": [100, 95]}}
        ],
    )
    thumbnails: Thumbnails | None = Field(description="None for a dataset without images or not inspected yet.")
    error: dict[str, Any] | None = Field(examples=[None])
    labels: dict[str, str] = Field(examples=[{"team": "vision"}])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class DatasetPage(PageInfo):
    """Datasets, newest first."""

    items: list[DatasetOut]
