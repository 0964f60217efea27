"""Bodies of /catalogue."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from api.http.paging import PageInfo
from api.http.schemas import ResponseModel
from distill.tasks.spec import Container, Unit


class ArchitectureOut(ResponseModel):
    """A network that workers can build. `options`, where they are listed: a student's, as JSON Schema properties."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field(examples=["timm:resnet34"])


class ArchitecturePage(PageInfo):
    """Architectures by name."""

    items: list[ArchitectureOut]


class EntryOut(ResponseModel):
    """A recipe, loss, selection rule, export format or strategy with its own parameters as JSON Schema properties."""

    name: str = Field(examples=["feature_only"])
    summary: str = Field(examples=["Train the backbone on the teacher's features alone."])
    parameters: dict[str, dict[str, Any]] = Field(examples=[{"grid": {"type": "integer", "minimum": 1, "default": 2}}])


class FormatOut(EntryOut):
    """A format in which students are written for another runtime."""

    tasks: list[str] = Field(
        default_factory=list, description="The tasks whose students it takes.", examples=[["classify_images"]]
    )


class TargetOut(EntryOut):
    """Where a student can be published. A parameter without a default is required."""

    live: bool = Field(
        False, description="Whether it can be told of a job while it runs (`publish` of POST /jobs).", examples=[True]
    )
    credentials: dict[str, dict[str, Any]] = Field(
        description="What the secret of a publication there holds, by name.",
        examples=[{"token": {"description": "An access token with the right to write.", "required": True}}],
    )


class RecipeOut(EntryOut):
    """A recipe."""

    needs_teacher: bool = Field(examples=[True])
    needs_layers: bool = Field(description="Whether it scores layers and so makes a Q curve.", examples=[True])
    reads_logits: bool = Field(
        description="Whether it learns from the teacher's logits, and so wants a teacher of the dataset's classes.",
        examples=[False],
    )
    needs_labels: bool = Field(
        False,
        description="Whether it learns nothing from samples without labels: of a dataset where only a part has labels "
        "it uses that part alone, and one without any it refuses.",
        examples=[False],
    )
    wants_some_labels: bool = Field(
        False, description="Whether it refuses a dataset in which no sample has a label.", examples=[False]
    )
    several_teachers: bool = Field(
        False, description="Whether it learns from several teachers together.", examples=[True]
    )
    features_alone: dict[str, Any] = Field(
        description="Values of its parameters, any one of which makes it learn without the teacher's logits; empty: "
        "there is none, or it never reads them.",
        examples=[{"kl": False}],
    )


class OptimizerOut(ResponseModel):
    """An optimizer that a job may use."""

    name: str = Field(description="torch's adamw and sgd, and timm's.", examples=["sgd"])
    momentum: bool = Field(description="Whether the setting `momentum` is one of its own.", examples=[True])
    nesterov: bool = Field(description="Whether the setting `nesterov` is one of its own.", examples=[True])

    model_config = ConfigDict(extra="ignore", frozen=True)


class PresetOut(ResponseModel):
    """A published protocol by one word: a job's `config.preset`."""

    name: str = Field(examples=["crd"])
    summary: str = Field(examples=["The CIFAR protocol of CRD: SGD, 240 epochs, three steps, crop and flip."])
    source: str = Field(description="Where its values are published.", examples=["Tian et al., ICLR 2020"])
    settings: dict[str, Any] = Field(
        description="Fields of a job's config that it fills where they are left out.", examples=[{"optimizer": "sgd"}]
    )


class NamedDatasetOut(ResponseModel):
    """A data set that workers know by name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str = Field(examples=["fashion-mnist"])
    task: str | None = Field(None, description="The task that it is of.", examples=["classify_images"])


class TaskMetric(ResponseModel):
    """A figure of a task: a row of its reports, a key of its metrics events."""

    name: str = Field(description="Its key in metrics events.", examples=["accuracy"])
    label: str = Field(description="Its title for people.", examples=["accuracy"])
    unit: Unit = Field(
        description="`share`: in [0, 1]; `nats`: a mean cross-entropy; `ratio`: positive, without unit; `per_second`: "
        "a rate; `number`: anything else.",
        examples=["share"],
    )
    higher_is_better: bool = Field(examples=[True])
    interval: bool = Field(
        description="Whether a report holds {value, low, high, n} with a 95 % interval; else a number, or {value, n}.",
        examples=[True],
    )
    path: str = Field(description="Where a column of a report holds it: keys joined by `/`.", examples=["accuracy"])
    note: str = Field(
        description="What stands beside its title; `{path}` is what a column holds there.",
        examples=["{generation/batch_size} prompts at a time"],
    )


class TaskOut(ResponseModel):
    """What can be answered: what its datasets and networks are, which settings it has, what its reports show."""

    name: str = Field(examples=["classify_images"])
    title: str = Field(examples=["Image classification"])
    summary: str = Field(examples=["Pictures of one class each; the student names the class."])
    modality: str = Field(description="What goes in: images, texts.", examples=["images"])
    sample: str = Field(description="What one of its samples is called.", examples=["image"])
    samples: str = Field(description="What many of its samples are called.", examples=["images"])
    metrics: list[TaskMetric] = Field(description="Rows of its reports in order; the first chooses the best student.")
    architectures: list[str] = Field(
        description="Prefixes of the names of its networks; of several tasks the longest prefix counts.",
        examples=[["timm:", "torchvision:", "retort:"]],
    )
    loss: str = Field(description="What its own loss on the labels is called in metrics.", examples=["cross_entropy"])
    per_class: str = Field(
        description="The metric that reports hold by class, as `per_class`; empty: none.", examples=["accuracy"]
    )
    several_teachers: bool = Field(default=False, description="Whether a job may name several teachers.")
    unlabelled: bool = Field(default=False, description="Whether samples of its datasets may lack a label.")
    counted: str = Field(description="What the number `n` of each class there counts.", examples=["images", "pixels"])
    settings: list[str] = Field(
        description="Fields of a job's config that not every task has and this one has.", examples=[["augmentation"]]
    )
    reading: list[str] = Field(
        default_factory=list,
        description="Fields of a registration beside its files that the task's datasets may have.",
        examples=[["pixel_range"]],
    )
    recipes: list[str] = Field(description="Those that it offers; empty: all.", examples=[[]])
    defaults: dict[str, int] = Field(
        default_factory=dict,
        description="Fields of a job's config that have another value than their own default where they are left out.",
        examples=[{"batch_size": 8}],
    )
    augmentations: list[str] = Field(
        default_factory=list,
        description="Values of the setting `augmentation` that it offers, where it has that setting.",
        examples=[["none", "crop_flip"]],
    )
    container: Container = Field(
        description="How its networks are kept: one safetensors file, or a model folder in a zip.", examples=["weights"]
    )
    student: str = Field(description="The architecture that a form suggests; empty: none.", examples=[""])
    needs_teacher: bool = Field(description="Whether every student starts from a teacher.", examples=[False])
    student_weights: bool = Field(
        description="Whether a job may name the weights that its student starts from.", examples=[True]
    )
    prunes: bool = Field(False, description="Whether a student may be its teacher, pruned.", examples=[True])
    exports: bool = Field(True, description="Whether its students are written for other runtimes.", examples=[True])
    formats: list[str] = Field(
        default_factory=list, description="Formats that its students are written in.", examples=[["onnx", "openvino"]]
    )
    writes: bool = Field(
        False, description="Whether its networks' answers are texts, written token by token.", examples=[False]
    )
    files: list[str] = Field(
        description="Which files make a dataset of it, a sentence each.",
        examples=[["parquet with columns `image` and `label`"]],
    )
    teacher_files: str = Field(description="Which files a teacher is.", examples=["safetensors"])
    student_hint: str = Field(description="How its students are chosen; empty: nothing is special.", examples=[""])


class TaskList(ResponseModel):
    items: list[TaskOut]


class RecipeList(ResponseModel):
    items: list[RecipeOut]


class EntryList(ResponseModel):
    items: list[EntryOut]


class FormatList(ResponseModel):
    items: list[FormatOut]


class TargetList(ResponseModel):
    items: list[TargetOut]


class NamedDatasetList(ResponseModel):
    items: list[NamedDatasetOut]


class OptimizerList(ResponseModel):
    items: list[OptimizerOut]


class PresetList(ResponseModel):
    items: list[PresetOut]


class CatalogueOut(ResponseModel):
    """Everything but the architectures, which are many: GET /catalogue/architectures pages through them."""

    recipes: list[RecipeOut]
    losses: list[EntryOut]
    selections: list[EntryOut]
    exports: list[FormatOut] = Field(default_factory=list, description="Formats of students.")
    targets: list[TargetOut] = Field(default_factory=list, description="Where students are published.")
    strategies: list[EntryOut] = Field(default_factory=list, description="Of studies.")
    optimizers: list[OptimizerOut]
    presets: list[PresetOut]
    datasets: list[NamedDatasetOut]
    tasks: list[TaskOut]
    architectures: int = Field(description="How many there are.", examples=[1400])
