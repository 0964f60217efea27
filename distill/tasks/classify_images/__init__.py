"""One class a picture."""

from distill import recipes
from distill.tasks.spec import Metric, TaskSpec
from distill.vision_folder import NAMES

SPEC = TaskSpec(
    name="classify_images",
    title="Image classification",
    summary="Pictures of one class each; the student names the class.",
    modality="images",
    sample="image",
    samples="images",
    metrics=(
        Metric("accuracy", "accuracy", "share", higher_is_better=True, interval=True),
        Metric("balanced_accuracy", "balanced accuracy", "share", higher_is_better=True),
        Metric("macro_f1", "macro-F1", "share", higher_is_better=True),
        Metric("top5", "top-5", "share", higher_is_better=True, interval=True),
        Metric("agreement", "agreement with teacher", "share", higher_is_better=True, interval=True),
        Metric("linear_probe", "accuracy of a linear probe", "share", higher_is_better=True, interval=True),
        Metric("knn", "accuracy of the 20 nearest neighbours", "share", higher_is_better=True, interval=True),
        Metric("held_out_loss", "feature loss on held-out images", "number", higher_is_better=False),
        Metric("loss", "loss", "nats", higher_is_better=False),
    ),
    architectures=("timm:", "torchvision:", "retort:", *NAMES),
    per_class="accuracy",
    reading=("pixel_range",),
    settings=frozenset(
        {
            "augmentation",
            "image_size",
            "channels_last",
            "fit_head",
            "label_smoothing",
            "teacher_classes",
            "teacher_weights",
            "backbone_learning_rate",
            "mixup",
            "cutmix",
            "pseudo_classes",
            "class_weights",
            "sampling",
            "layer_decay",
            "drop_path",
        }
    ),
    files=(
        "zip or tar with a folder a class, or with a table of labels beside the images",
        "parquet with columns `image` and `label`",
        "CSV or JSON with `image` (base64) and `label`",
        "images of which some or all have no label: empty cells, a folder unlabelled/, or no class folders at all",
    ),
    recipes=recipes.without("needs_regions"),
    student_weights=True,
    prunes=True,
    unlabelled=True,
    several_teachers=True,
    older_kind="",
    pipeline="image-classification",
)
