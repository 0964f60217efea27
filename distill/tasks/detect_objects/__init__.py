"""Boxes of the objects in a picture, and their classes."""

from distill.tasks.spec import Metric, TaskSpec
from distill.vision_folder import DETECTOR_NAMES

SPEC = TaskSpec(
    name="detect_objects",
    title="Object detection",
    summary="Pictures with a box and a class for each object; the student finds the objects.",
    modality="images",
    sample="image",
    samples="images",
    metrics=(
        Metric("ap", "AP (IoU .50:.95)", "share", higher_is_better=True, interval=True),
        Metric("ap50", "AP50", "share", higher_is_better=True, interval=True),
        Metric("ap75", "AP75", "share", higher_is_better=True),
        Metric("ap_small", "AP of small objects", "share", higher_is_better=True),
        Metric("ap_medium", "AP of medium objects", "share", higher_is_better=True),
        Metric("ap_large", "AP of large objects", "share", higher_is_better=True),
        Metric("ar", "AR (100 boxes an image)", "share", higher_is_better=True),
        Metric("agreement", "AP against the teacher's boxes", "share", higher_is_better=True, interval=True),
        Metric("loss", "loss", "nats", higher_is_better=False),
        Metric("suppression_ms", "non-maximum suppression, ms", "number", higher_is_better=False),
        Metric("answer_ms", "latency with non-maximum suppression, ms", "number", higher_is_better=False),
    ),
    loss="detection",
    architectures=(
        "retort:fcos",
        "torchvision:fcos_",
        "torchvision:retinanet_",
        "torchvision:ssdlite",
        *DETECTOR_NAMES,
        "torchvision:fasterrcnn_",
    ),
    per_class="AP",
    counted="objects",
    settings=frozenset(
        {
            "augmentation",
            "image_size",
            "channels_last",
            "teacher_classes",
            "backbone_learning_rate",
            "drop_path",
            "quality_background",
            "quality_roi_size",
        }
    ),
    recipes=(
        "attention_transfer",
        "blockwise_logit",
        "cross_entropy",
        "feature_logit",
        "feature_only",
        "fitnet",
        "focal_global",
        "logit",
        "masked_generative",
        "pkt",
        "rkd",
        "similarity_preserving",
        "vid",
    ),
    # A scale, a crop and a flip (`framing.drawn`); other colours after it (`colours.recoloured`); four images in one,
    # recoloured (`mosaic`). RandAugment would bend and move the image without its boxes.
    augmentations=("none", "crop_flip", "crop_flip_colour", "mosaic"),
    student="retort:fcos",
    defaults=(("batch_size", 8),),
    reading=("pixel_range", "box_format"),
    files=(
        "a zip, tar, tar.gz or folder of images with COCO's JSON, Pascal VOC's XML, YOLO's text files and `data.yaml`, "
        "or a CSV with `filename`, `class`, `xmin`, `ymin`, `xmax`, `ymax`",
        "parquet with columns `image` and `objects` (`bbox`, `category`)",
        "without a validation or test split one is held out",
    ),
    student_hint="`retort:fcos` takes any timm network as its option `backbone`.",
    student_weights=True,
    pipeline="object-detection",
)
