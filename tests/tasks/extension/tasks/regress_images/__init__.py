"""One number a picture: the class's name read as a number. A task that lives in the tests alone, in this one folder."""

from distill import recipes
from distill.tasks.spec import Metric, TaskSpec

SPEC = TaskSpec(
    name="regress_images",
    title="Image regression",
    summary="Pictures with a number each; the student tells the number.",
    modality="images",
    sample="image",
    samples="images",
    metrics=(
        Metric("rmse", "root mean square error", "number", higher_is_better=False),
        Metric("loss", "mean square error", "number", higher_is_better=False),
    ),
    loss="squared_error",
    architectures=("timm:", "torchvision:", "retort:"),
    settings=frozenset({"augmentation", "image_size", "channels_last"}),
    recipes=recipes.without("needs_regions"),
    files=("zip or tar with a folder a value, named by it; asked for by name",),
)
