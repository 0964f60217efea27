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
    per_class="iou",
    settings=frozenset({"augmentation", "image_size", "channels_last"}),
)
