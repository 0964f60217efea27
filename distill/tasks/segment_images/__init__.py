"""One class a pixel."""

from distill.tasks.spec import Metric, TaskSpec

SPEC = TaskSpec(
    name="segment_images",
    title="Semantic segmentation",
    summary="Pictures with a mask of classes each; the student names the class of every pixel.",
    modality="images",
    sample="image",
    samples="images",
    metrics=(
        Metric("mean_iou", "mean IoU", "share", higher_is_better=True, interval=True),
        Metric("pixel_accuracy", "pixel accuracy", "share", higher_is_better=True, interval=True),
        Metric("agreement", "pixels that agree with teacher", "share", higher_is_better=True, interval=True),
        Metric("loss", "loss", "nats", higher_is_better=False),
    ),
    architectures=(
        "torchvision:fcn_",
        "torchvision:deeplabv3_",
        "torchvision:lraspp_",
        "retort:fpn",
        "transformers:segformer",
    ),
    per_class="IoU",
    counted="pixels",
    reading=("pixel_range",),
    settings=frozenset(
        {
            "augmentation",
            "image_size",
            "channels_last",
            "label_smoothing",
            "teacher_classes",
            "backbone_learning_rate",
            "class_weights",
            "drop_path",
        }
    ),
    recipes=(
        "attention_transfer",
        "blockwise_logit",
        "cross_entropy",
        "dist",
        "dkd",
        "feature_logit",
        "feature_only",
        "fitnet",
        "logit",
        "logit_standardized",
        "pkt",
        "review",
        "rkd",
        "similarity_preserving",
        "vid",
    ),
    augmentations=("none", "crop_flip"),  # what a mask can follow: RandAugment would bend and move the image alone
    student="retort:fpn",
    files=(
        "a zip, tar, tar.gz or folder with `images/` beside `masks/` of the same names, also below `train/`, `val/`, "
        "`test/`; VOC's, Cityscapes' and CamVid's layouts",
        "parquet with columns `image` and `annotation` or `mask`",
        "masks are PNG: 8 or 16 bits, palette, or colours; 255 stands for no class",
        "`classes.txt`, `label_colors.txt` or `classes.json` names the classes",
    ),
    student_hint="`retort:fpn` takes any timm network as its option `backbone`.",
    student_weights=True,
    pipeline="image-segmentation",
)
