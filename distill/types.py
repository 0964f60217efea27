"""Plain data that crosses package borders. Torch-free: the API imports this module."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from distill import presets, tasks
from distill.export_request import ExportRequest as ExportRequest
from distill.export_request import Exports
from distill.layer_quality import Layer as Layer
from distill.layer_quality import LayerQuality as LayerQuality
from distill.layer_quality import QCurve as QCurve
from distill.strict_model import Model as Model

Phase = Literal["fetching", "choosing", "scoring", "distilling", "evaluating", "packaging", "uploading"]
PHASES: tuple[Phase, ...] = (
    "fetching", "choosing", "scoring", "distilling", "evaluating", "packaging", "uploading",
)  # fmt: skip


EventKind = Literal[
    "phase",  # {phase}
    "resolved",  # {config: {...}, reasons: {field: why}}: every "auto" replaced
    "choice",  # {recipe, reason, metric, minutes, seconds, rungs, table}: of `recipe: auto`, as far as it has come
    "layers",  # {total_layers, samples, classes, train_size, seed, digest, reused, grouping}: the curve's frame
    "layer_quality",  # LayerQuality.to_dict()
    "selection",  # {rule, chosen: [index], teacher_layers: [name], student_layers: [name], reason}
    "metrics",  # {step, epoch, split: train|validation|test, values: {name: float}}
    "progress",  # {fraction, step, total_steps, images_per_second, eta_seconds: float|null}
    "checkpoint",  # {path, step, epoch}: a file is complete on disk
    "log",  # {level, message}
    "warning",  # {code, message, remedy, details}: the run goes on, but probably not as it was meant
    "sent",  # {rows}: so many more rows of metrics are where a publication sends them
    "artifact",  # {name, path, media_type}: a file is complete on disk
    "result",  # {...}: the report's summary
    "done",  # {}
    "failed",  # RetortError.to_dict()
    "memory",  # {peak_bytes}: of a trainer on other machines, where its worker cannot look
    # of finished networks that are asked (distill.predictor), not of runs:
    "ready",  # {}
    "text",  # {request, input, network, text}: the next part of a text
    "answers",  # {request, network, answers, milliseconds}
]


@dataclass(frozen=True, slots=True)
class Event:
    """What a run says while it goes on; one JSON line of the trainer process."""

    kind: EventKind
    data: dict[str, Any] = field(default_factory=dict)


Widths = Annotated[dict[str, list[int]], Field(min_length=1)]
"""Of a pruned network (`distill.pruned`): sizes by path."""


class Architecture(Model):
    """A network by library and name, e.g. `timm:resnet34`, `torchvision:vgg19`, `retort:resnet8`; a language model by
    its family, `transformers:bert`, or `transformers:auto` for the one that its files name."""

    name: str = Field(min_length=1, max_length=200, examples=["retort:resnet8"])
    options: dict[str, bool | int | float | str | list[int] | Widths] = Field(
        default_factory=dict,
        description="Keyword arguments of the architecture's constructor (widths, depths), from an allow-list, and of "
        "pictures' networks `prune_ratio` and `round_to`: what is removed of every layer.",
        examples=[{"width": 8}],
    )


Auto = Literal["auto"]
USUAL_LAYERS = 4
"""How many layers a job distils that says nothing of them, if student and teacher have so many."""
EXPLICIT = "explicit"
"""The selection rule whose parameters name the layers."""


MOST, MOST_BYTES = 2**31 - 1, 2**53 - 1  # of counts, and of bytes: no float or JSON reader rounds them


def _tell_tasks(schema: dict[str, Any]) -> None:
    """Beside every setting that some tasks have and others not: the names of those that have it (`x-tasks`), and their
    modality where they are of one (`x-data`). Forms leave a setting out for the other tasks."""
    every = tasks.specs()
    for name, told in schema["properties"].items():
        having = [spec for spec in every if name in spec.settings]
        if not having:
            continue
        told["x-tasks"] = [spec.name for spec in having]
        if len(modalities := {spec.modality for spec in having}) == 1:
            told["x-data"] = modalities.pop()


ClassWeights = Annotated[
    dict[str, Annotated[float, Field(gt=0, le=1e6)]], Field(min_length=1, max_length=100_000, examples=[{"cat": 2.0}])
]


OF_THE_CHOICE = ("auto_minutes", "auto_steps", "auto_recipes")
"""Settings of recipe `auto`'s choice alone: the training of what was chosen has them at their defaults."""


class DistillConfig(Model):
    """How to distil. Every `auto` is resolved by the run and echoed with its reason."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra=_tell_tasks)

    preset: str | None = Field(
        None, json_schema_extra={"x-registry": "presets"},
        description="Name from the catalogue's presets: a published protocol, for the settings that are left out.",
    )  # fmt: skip
    recipe: str = Field(
        "feature_only",
        description="Name from the catalogue's recipes; `auto`: the one that a short successive halving on validation "
        "samples chooses, before the training.",
    )
    recipe_parameters: dict[str, Any] = Field(default_factory=dict, description="The recipe's own parameters.")
    auto_minutes: float = Field(
        10.0, gt=0, le=1e5, description="Of recipe `auto`: about how long the choice may take, under a worker."
    )
    auto_steps: Annotated[int, Field(ge=1, le=MOST)] | Auto = Field(
        "auto",
        description="Of recipe `auto`: steps that every candidate is trained for at first. `auto`: what auto_minutes "
        "allow, by the time that a step takes here; a number makes two runs compare alike.",
    )
    auto_recipes: Annotated[list[str], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Of recipe `auto`: the candidates; null: every recipe that fits teacher, data and task."
    )
    selection: str = Field("auto", description="Name from the catalogue's selection rules, or `auto`.")
    selection_parameters: dict[str, Any] = Field(default_factory=dict)
    layers: Annotated[int, Field(ge=1, le=64)] | Auto = Field(
        "auto",
        description="k: how many teacher layers to distil. `auto`: as many as are named, else 4, or all where student "
        "or teacher has fewer.",
    )
    teacher_layers: list[str] | None = Field(None, description="Explicit teacher layers by name, in depth order.")
    student_layers: list[str] | None = Field(None, description="Explicit student layers by name, in depth order.")
    teacher_classes: Literal["auto", "same", "other"] = Field(
        "auto",
        description="Whether the teacher's classes are the dataset's. `auto`: by number, and by names where both sides "
        "have them. A teacher of other classes, or without a classifier, serves recipes that read features alone.",
    )

    teacher_weights: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=64)] | Auto = Field(
        "auto",
        description="Of several teachers: how much each counts, in their order, as shares of the sum. `auto`: equally.",
    )

    quality_samples: int = Field(5000, ge=2, le=MOST, description="N: class-stratified samples for the Q curve.")
    pseudo_classes: Annotated[int, Field(ge=2, le=1000)] | Auto = Field(
        "auto",
        description="k: clusters of the teacher's deepest feature by which the Q curve groups the pictures in place of "
        "their labels. `auto`: the labels, and 10 clusters where there are none.",
    )
    quality_memory_bytes: int = Field(
        2 * 2**30, ge=2**26, le=MOST_BYTES, description="Peak memory budget for scoring, bytes."
    )
    quality_bootstrap: int = Field(
        0, ge=0, le=1000, json_schema_extra={"not": {"const": 1}},
        description="Bootstrap replicates for standard errors, at least 2; 0: none.",
    )  # fmt: skip

    quality_roi_size: int = Field(
        1, ge=1, le=7, description="Of boxes: a side of the grid of cells that a box is read as from a layer's map."
    )
    quality_background: bool = Field(
        False, description="Of boxes: score boxes of background too, as a further class that layers tell apart."
    )

    epochs: int = Field(50, ge=1, le=100_000)
    max_steps: int | None = Field(
        None, ge=1, le=MOST, description="Stop after this many optimiser steps, if fewer than epochs."
    )
    batch_size: int = Field(128, ge=1, le=65_536)
    optimizer: str = Field(
        "adamw", max_length=60, json_schema_extra={"x-registry": "optimizers"},
        description="`adamw`, `sgd`, or another name from the catalogue's optimizers, which are timm's.",
    )  # fmt: skip
    momentum: Annotated[float, Field(ge=0, lt=1)] | Auto = Field(
        "auto", description="For optimizers that have one. `auto`: 0.9; of sgd under one_cycle 0.95 to 0.85 and back."
    )
    nesterov: bool | Auto = Field("auto", description="Nesterov's momentum, for optimizers that have it.")
    schedule: Literal["one_cycle", "cosine", "multi_step", "constant"] = Field(
        "one_cycle",
        description="Of the learning rate: up and down by cosines; warm-up, then a cosine to 0; steps by gamma; as it "
        "is.",
    )
    milestones: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=100)] | Auto = Field(
        "auto", description="Of multi_step: after how many epochs the rate falls, rising. `auto`: 5/8, 3/4, 7/8 of all."
    )
    gamma: float = Field(0.1, gt=0, le=1, description="Of multi_step: what the rate is multiplied by.")
    learning_rate: Annotated[float, Field(gt=0)] | Auto = Field("auto", description="Peak of the schedule.")
    backbone_learning_rate: Annotated[float, Field(gt=0)] | Auto = Field(
        "auto",
        description="Peak for what the student took of the weights that it starts from; what is new has learning_rate.",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1,
        description="What the rate is multiplied by for every block further from the student's head; 1: alike.",
    )  # fmt: skip
    drop_path: Annotated[float, Field(ge=0, lt=1)] | Auto = Field(
        "auto",
        description="Stochastic depth in training: the probability that a sample skips the student's last block, less "
        "for earlier ones. `auto`: as the architecture has it.",
    )
    fit_head: bool | Auto = Field(
        "auto", description="Fit the classifier anew, after training, on the finished backbone's features."
    )
    weight_decay: Annotated[float, Field(ge=0)] | Auto = Field("auto", description="`auto`: by the optimizer.")
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] | Auto = Field(
        "auto", description="Share of the steps on the way up to the peak. `auto`: by the schedule."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of every label that is spread over all classes; in training alone."
    )
    class_weights: Literal["none", "balanced", "effective_number"] | ClassWeights = Field(
        "none",
        description="How much each class counts in the loss on labels: alike; inversely to its samples; inversely to "
        "their effective number; or `{name: weight}`, 1 where left out.",
    )
    sampling: Literal["shuffled", "balanced"] = Field(
        "shuffled", description="`balanced`: an epoch draws every class equally often, rare samples repeatedly."
    )
    gradient_accumulation: int = Field(1, ge=1, le=1024)
    clip_norm: float | None = Field(None, gt=0)
    ema_decay: float | None = Field(None, gt=0, lt=1)

    mixup: float = Field(
        0.0, ge=0, le=100, description="Alpha of MixUp, which blends every picture with another one; 0: none."
    )
    cutmix: float = Field(
        0.0, ge=0, le=100,
        description="Alpha of CutMix, pastes a part of another picture; 0: none. With mixup: half of the batches.",
    )  # fmt: skip
    augmentation: Literal["none", "crop_flip", "crop_flip_colour", "mosaic", "randaugment"] = Field(
        "none", description="What training pictures are shown as; each task offers some (`augmentations` of a task)."
    )
    image_size: Annotated[int, Field(ge=1, le=8192)] | Auto = Field(
        "auto", description="Side in pixels that the student sees."
    )
    max_length: Annotated[int, Field(ge=8, le=MOST)] | Auto = Field("auto", description="Tokens that a text is cut to.")
    text_features: Literal["auto", "cls", "mean", "last", "tokens"] = Field(
        "auto",
        description="What of a text's token features counts for the Q curve and the feature losses.",
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] | Auto = Field(
        "auto",
        description="Probability from which the exported student says that a picture has a class. `auto`: 0.5, as for "
        "the report's F1.",
    )
    exports: Exports = Field(
        default_factory=list, examples=[[{"format": "onnx"}, {"format": "onnx-int8", "max_drop": 0.005}]],
        description="Formats in which the student is wanted beside its weights; a format's name stands for one without "
        "parameters. Each file is compared with the student and judged on the test set.",
    )  # fmt: skip
    validation_fraction: float = Field(0.1, gt=0, lt=0.9)
    train_limit: int | None = Field(
        None, ge=2, le=MOST, description="Use only this many training samples (stratified)."
    )
    test_limit: int | None = Field(None, ge=1, le=MOST, description="Use only this many test samples (stratified).")

    seed: int = Field(0, ge=0, le=2**31 - 1)
    deterministic: bool = True
    device: str = Field("auto", description="`auto`, `cpu`, `cuda` or `cuda:N`.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="fp16 scales the loss; for GPUs without bf16."
    )
    channels_last: bool | Auto = Field("auto")
    compile: bool | Auto = "auto"
    cache_teacher: bool | Auto = Field("auto", description="Compute teacher targets once, when nothing is augmented.")
    cache_memory_bytes: int = Field(
        4 * 2**30, ge=0, le=MOST_BYTES, description="RAM for cached targets; beyond it, memory-mapped."
    )
    checkpoint_seconds: float = Field(600, gt=0, description="At most this long between checkpoints.")

    @model_validator(mode="before")
    @classmethod
    def _by_preset(cls, given: Any) -> Any:
        """What is left out is the preset's; a name that no preset has fills nothing, and is refused where names are."""
        return presets.fill(given) if isinstance(given, dict) else given

    def with_defaults(self, defaults: Iterable[tuple[str, Any]]) -> DistillConfig:
        """The same with other values for the fields that were left out."""
        return self.model_copy(update={name: v for name, v in defaults if name not in self.model_fields_set})

    @model_validator(mode="before")
    @classmethod
    def _count_named(cls, given: Any) -> Any:
        """`layers`, where it is left out, is the number of layers that are named."""
        if not isinstance(given, dict) or given.get("layers", "auto") != "auto":
            return given
        chosen = given.get("selection_parameters") if given.get("selection") == EXPLICIT else None
        lists = [given.get("teacher_layers"), given.get("student_layers")]
        lists += [chosen.get("layers")] if isinstance(chosen, dict) else []
        counts = {len(names) for names in lists if isinstance(names, list)}
        return given | {"layers": counts.pop()} if len(counts) == 1 and 0 not in counts else given

    @property
    def most_layers(self) -> int:
        """k, or the most that `auto` takes."""
        return USUAL_LAYERS if self.layers == "auto" else self.layers

    @property
    def augments(self) -> bool:
        """Whether a training sample differs from epoch to epoch, so that no target of the teacher can be kept."""
        return self.augmentation != "none" or self.mixup > 0 or self.cutmix > 0

    @field_validator("quality_bootstrap")
    @classmethod
    def _one_replicate_has_no_deviation(cls, value: int) -> int:
        if value == 1:
            raise ValueError("one replicate has no standard deviation: give 0 for none, or at least 2")
        return value


Mean = Annotated[float, Field(ge=-1, le=1)]
Deviation = Annotated[float, Field(gt=0, le=1)]
Side = Annotated[int, Field(ge=1, le=4096)]


class TeacherPreprocessing(Model):
    """How a teacher of pictures was shown them when it was trained; what is left out is taken from its file's header,
    else from the default of its architecture. x = (v / 255 - mean) / std for each channel, v the bytes."""

    mean: list[Mean] | None = Field(
        None, min_length=1, max_length=3, examples=[[0.485, 0.456, 0.406]],
        description="Of values from 0 to 1 (of bytes: divide by 255), in the network's own order of channels; one for "
        "grey pictures.",
    )  # fmt: skip
    std: list[Deviation] | None = Field(
        None, min_length=1, max_length=3, examples=[[0.229, 0.224, 0.225]], description="Like `mean`, above 0."
    )
    input_size: Side | Annotated[list[Side], Field(min_length=2, max_length=2)] | None = Field(
        None, examples=[224], description="Pixels a side, or [height, width]."
    )
    interpolation: Literal["nearest", "bilinear", "bicubic"] | None = Field(None, examples=["bicubic"])
    crop_pct: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, examples=[0.875], description="Share of a larger picture's shorter side that the centre crop keeps."
    )
    channel_order: Literal["RGB", "BGR"] | None = Field(
        None, examples=["RGB"], description="BGR: OpenCV's and Caffe's; the channels are exchanged for this teacher."
    )

    @model_validator(mode="after")
    def _of_one_number_of_channels(self) -> TeacherPreprocessing:
        counts = {len(values) for values in (self.mean, self.std) if values is not None}
        if len(counts) > 1 or 2 in counts:
            raise ValueError("mean and std have three values each, or one each for grey pictures")
        if self.channel_order == "BGR" and 1 in counts:
            raise ValueError("grey pictures have no order of channels: leave channel_order out")
        return self

    def told(self) -> dict[str, Any]:
        """What was given, by field."""
        return self.model_dump(exclude_none=True)


class TeacherInput(Model):
    """A teacher on local disk, as a run sees it."""

    architecture: Architecture
    weights: str = Field(description="Path of a validated safetensors file; of a language model's folder or zip.")
    num_classes: int | None = Field(
        None, description="0: a network without a classifier; null: loading the file will tell."
    )
    digest: str = Field(description="sha256 of the weights file, hex.")
    preprocessing: TeacherPreprocessing | None = Field(None, description="As far as it was told at registration.")
    label: str = Field("", description="What it is called, for people; empty: the teacher, or its number of several.")


PIXEL_RANGE = (
    "For grey images of 16 bits a pixel: the values that become black (0) and white (255), as [0, 4095] for 12 bits; "
    "null: the upper byte is kept. Images of 8 bits are read as they are."
)


def _rising(between: tuple[int, int]) -> tuple[int, int]:
    if between[0] >= between[1]:
        raise ValueError("pixel_range is [low, high], low below high")
    return between


PixelRange = Annotated[
    tuple[Annotated[int, Field(ge=0, le=65535)], Annotated[int, Field(ge=0, le=65535)]], AfterValidator(_rising)
]


BOX_FORMAT = (
    "Of boxes in a table or parquet: what their four numbers are. `xyxy`: corners; `xywh`: the upper left corner, "
    "width and height; `cxcywh`: the centre, width and height. `_absolute`: in pixels; `_relative`: shares of the "
    "image's sides; without either the numbers tell. Empty: names of columns and numbers tell."
)
BoxFormat = Literal[
    "", "xyxy", "xyxy_absolute", "xyxy_relative", "xywh", "xywh_absolute", "xywh_relative", "cxcywh", "cxcywh_absolute",
    "cxcywh_relative",
]  # fmt: skip


Decode = Literal["bounded", "all"]
DECODE = (
    "Which images a registration decodes in search of damaged ones: within the bound of an inspection, an equal share "
    "of each shard; or all."
)
Inspected = Literal["all", "sample"]
INSPECTION = (
    "How far a large dataset is read before it is answered: all of it; or a sample of its shards, after which it is "
    "`sampled`, and POST /datasets/{id}/inspect reads the rest."
)
CLASSES_FROM = (
    "Of shards: where the classes of images come from. Empty: their label files or columns; where no image has one, "
    "the folders that they lie in. `shards`: each shard is one class, called as the shard is. `none`: folders are no "
    "classes, so images without label files have no label."
)
ClassesFrom = Literal["", "shards", "none"]


class DatasetInput(Model):
    """A dataset on local disk, or a named one, as a run sees it."""

    kind: Literal["named", "archive", "parquet", "table", "folder", "text", "shards"]
    name: str = Field(description="Display name; for kind `named`, the name itself.")
    files: dict[str, str] = Field(
        default_factory=dict, description="Role (`train`, `test` or `all`) -> path, for every kind but `named`."
    )
    digest: str = Field("", description="sha256 over the files, hex; empty for named sets.")
    task: str = Field("", description="Name of a task; empty: the files tell (`distill.tasks.inspection`).")
    pixel_range: PixelRange | None = Field(None, description=PIXEL_RANGE)
    box_format: BoxFormat = Field("", description=BOX_FORMAT)
    classes_from: ClassesFrom = Field("", description=CLASSES_FROM)


class TrainedRun(Model):
    """What a finished run was, for a comparison of like with like (`distill.likeness`)."""

    student: Architecture = Field(description="As its report names it, with the options that were resolved.")
    steps: int = Field(description="Optimiser steps that it took.")
    configuration: dict[str, Any] = Field(default_factory=dict, description="With every `auto` resolved.")
    head_fitted: bool = Field(False, description="Whether its classifier was fitted anew after training.")
    teacher: str = Field("", description="sha256 of its teacher's file; empty: none.")
    start: str = Field("", description="sha256 of the weights that it started from; empty: random ones.")


class ComparisonInput(Model):
    """A finished student of the same dataset to report beside this one (usually `cross_entropy`)."""

    label: str
    architecture: Architecture
    weights: str
    recipe: str
    job_id: str = ""
    run: TrainedRun | None = Field(None, description="How it was trained; None: nothing is known of that.")


Importance = Literal["magnitude", "bn_scale"]


class StartInput(Model):
    """Weights that the student starts from: a file of its own architecture, or of a deeper network of its family."""

    label: str = Field(description="What it is, for people: `teacher tch_1`, `the student of job_1`.")
    architecture: Architecture
    weights: str = Field(description="Path of a safetensors file.")
    preprocessing: TeacherPreprocessing | None = Field(None, description="As far as it was told at registration.")
    digest: str = Field("", description="sha256 of the file, hex.")
    importance: Importance = Field(
        "magnitude", description="Which channels of the file a pruned student keeps (`distill.pruned`)."
    )
    map: dict[str, str] | None = Field(
        None, description="Prefix of the student's names -> of the file's: what goes where. None: as the family tells."
    )


Sharding = Literal["none", "full"]


class ExportInput(Model):
    """A finished student that is exported in place of a run: `requests`, on the data that its run had."""

    requests: tuple[ExportRequest, ...]
    student: ComparisonInput = Field(description="The weights that the run delivered.")
    report: str = Field(description="Path of the run's report.json.")


class RunSpec(Model):
    """Everything `distill.run.run` needs: local paths only, no credentials, no database."""

    config: DistillConfig
    student: Architecture
    start: StartInput | None = Field(None, description="None: the student starts from random weights.")
    dataset: DatasetInput
    teacher: TeacherInput | tuple[TeacherInput, ...] | None = Field(
        None, description="One, or a set that teaches together; None: train the student alone (`cross_entropy`)."
    )
    comparison: ComparisonInput | None = None
    probe: DatasetInput | None = Field(
        None, description="A labelled dataset of the task that judges features where `dataset` has no label."
    )
    reuse_curves: tuple[dict[str, Any], ...] = Field(
        (), description="QCurve.to_dict() of earlier runs: each teacher takes that of its digest."
    )
    resume_from: str | None = Field(None, description="Path of a checkpoint to continue from.")
    sharding: Sharding = Field(
        "none",
        description="`full`: several processes that train together hold a share each of parameters, gradients and "
        "optimizer state.",
    )
    export: ExportInput | None = Field(None, description="What is exported instead of training; None: it trains.")

    @property
    def teachers(self) -> tuple[TeacherInput, ...]:
        """All of them, each with a label."""
        given = self.teacher if isinstance(self.teacher, tuple) else (self.teacher,) if self.teacher else ()
        names = ["the teacher"] if len(given) == 1 else [f"teacher {number}" for number in range(1, len(given) + 1)]
        return tuple(
            each.model_copy(update={"label": each.label or name}) for each, name in zip(given, names, strict=True)
        )
