"""Any number of classes a picture."""

from distill import recipes
from distill.tasks.spec import Metric, TaskSpec
from distill.vision_folder import NAMES

SPEC = TaskSpec(
    name="tag_images",
    title="Multi-label image classification",
    summary="Pictures with a list of labels each; the student tells of every class whether the picture has it.",
    modality="images",
    sample="image",
    samples="images",
    metrics=(
        Metric("mean_average_precision", "mean average precision", "share", higher_is_better=True, interval=True),
        Metric("micro_f1", "micro F1", "share", higher_is_better=True, interval=True),
        Metric("macro_f1", "macro F1", "share", higher_is_better=True, interval=True),
        Metric("subset_accuracy", "subset accuracy", "share", higher_is_better=True, interval=True),
        Metric("agreement", "labels that agree with teacher", "share", higher_is_better=True, interval=True),
        Metric("chance", "mean average precision of guessing", "share", higher_is_better=True),
        Metric("loss", "loss", "nats", higher_is_better=False),
    ),
    loss="binary_cross_entropy",
    architectures=("timm:", "torchvision:", "retort:", *NAMES),
    per_class="average precision",
    counted="images that have it",
    reading=("pixel_range",),
    settings=frozenset(
        {
            "augmentation",
            "image_size",
            "channels_last",
            "teacher_classes",
            "backbone_learning_rate",
            "mixup",
            "layer_decay",
            "drop_path",
            "threshold",
        }
    ),
    recipes=recipes.without("one_class", "needs_regions"),
    files=(
        "parquet with columns `image` and `labels`, a list of class names or numbers",
        "zip or tar of images with a table: `file_name` and `labels` (`cat|dog`, a JSON list), or a column of 0 and 1 "
        "for each class; Hugging Face's `metadata.jsonl`",
        "CSV or JSON with `image` (base64) and `labels`",
    ),
    student_weights=True,
    pipeline="image-classification",
)
