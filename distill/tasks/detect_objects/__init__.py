"""A box a thing."""

from distill.tasks.spec import Metric, TaskSpec

SPEC = TaskSpec(
    name="detect_objects",
    title="Object detection",
    summary="Pictures with a box and a class for each object; the student finds and names the objects.",
    modality="images",
    sample="image",
    samples="images",
    metrics=(Metric("mean_ap", "mean AP", "share", higher_is_better=True, interval=True),),
    architectures=("retort:fcos",),
    per_class="AP",
    counted="boxes",
    files=(
        "a zip, tar, tar.gz or folder of images with COCO's JSON, Pascal VOC's XML, YOLO's text files and `data.yaml`, "
        "or a CSV with `filename`, `class`, `xmin`, `ymin`, `xmax`, `ymax`",
        "parquet with columns `image` and `objects` (`bbox`, `category`)",
        "without a validation or test split one is held out",
    ),
)
