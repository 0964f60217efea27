"""How an image becomes a network's input, from the network's own configuration."""

from __future__ import annotations

from typing import Literal

from distill.errors import InvalidConfig
from distill.modalities.images.preprocessing import Interpolation, Preprocessing
from distill.models import queries, segformer
from distill.models.detectors import DETECTORS
from distill.models.fpn import backbone_of
from distill.models.names import PYRAMIDS, Name, is_dense, resolve
from distill.models.small import FAMILY
from distill.models.vision import seeing
from distill.types import Architecture
from distill.vision_folder import DETECTORS as QUERYING
from distill.vision_folder import FAMILIES

SMALL = 32
"""Side in pixels of the small-image networks where neither user nor dataset says one."""
DENSE = 256
"""The same of `retort:fpn` and `retort:fcos`."""


def preprocessing(
    architecture: Architecture,
    image_size: int | Literal["auto"] = "auto",
    native_size: int | tuple[int, int] | None = None,
    channels: int = 3,
) -> Preprocessing:
    """The network's preprocessing: timm's pretrained configuration (of `retort:fpn` and `retort:fcos`, the mean and std
    of their backbone), torchvision's weights, ours.

    Size: `image_size`, else the options' own, else for small-image networks (`retort:`) and networks that answer for
    every pixel the dataset's `native_size` (at least what the network's pooling needs), and where that is None, and for
    the others, what they were trained with (32 for small-image networks).
    Raises `InvalidConfig` for a given size below that. Networks of other than 3 `channels` get
    the mean of the three means and stds for each (**our choice**).
    """
    name = resolve(architecture.name)
    base = _pyramid(architecture) if name.name in PYRAMIDS else _BASES[name.library](name)
    size = _size(architecture, name, base, image_size, native_size)
    mean, std = _channels(base.mean, channels), _channels(base.std, channels)
    return Preprocessing(mean, std, size, base.interpolation, channels, base.crop)


def _size(
    architecture: Architecture,
    name: Name,
    base: Preprocessing,
    wanted: int | Literal["auto"],
    native: int | tuple[int, int] | None,
) -> tuple[int, int]:
    option = architecture.options.get("img_size", architecture.options.get("image_size"))
    if wanted != "auto":
        _check_size(name, wanted)
        return (wanted, wanted)
    if isinstance(option, int):
        return (option, option)
    if native is not None and (name.library == "retort" or is_dense(name)):
        height, width = (native, native) if isinstance(native, int) else native
        return (max(height, _smallest(name)), max(width, _smallest(name)))
    return base.size


def _smallest(name: Name) -> int:
    return FAMILY[name.name].smallest if name.name in FAMILY and name.library == "retort" else 1


def _check_size(name: Name, side: int) -> None:
    if side < _smallest(name):
        raise InvalidConfig(
            f"{name} needs images of at least {_smallest(name)} pixels a side, not {side}.",
            f"Set image_size to {_smallest(name)} or more, or to auto.",
            {"field": "image_size", "value": side, "smallest": _smallest(name)},
        )


def _channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if len(values) == channels else (sum(values) / len(values),) * channels


def _timm(name: Name) -> Preprocessing:
    import timm  # here: names.py says why

    config = timm.get_pretrained_cfg(name.name, allow_unregistered=True)
    if config is None:
        return Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (224, 224), "bicubic", crop=0.875)
    mean, std, (_, height, width) = tuple(config.mean), tuple(config.std), config.input_size
    # Above 1 timm pads the image (one network, 1.15); here it is shown whole.
    crop = min(1.0, config.crop_pct)
    return Preprocessing(mean, std, (height, width), _interpolation(config.interpolation), crop=crop)


# torchvision's trained weights come with `transform_input`, which makes of ImageNet's normalisation that of mean and
# std 0.5. No tensor tells of it, and we build without: so it is done here.
_NORMALISE_THEMSELVES = frozenset({"googlenet", "inception_v3"})


def _torchvision(name: Name) -> Preprocessing:
    import torchvision.models

    if name.name in DETECTORS:  # their weights' transform resizes nothing: the networks themselves do
        detector = DETECTORS[name.name]
        return Preprocessing(*detector.view, (detector.side, detector.side))
    transform = torchvision.models.get_model_weights(name.name).DEFAULT.transforms()
    resized = transform.resize_size[0]
    side = resized if is_dense(name) else transform.crop_size[0]  # masks are not cropped
    mean, std = tuple(transform.mean), tuple(transform.std)
    if name.name in _NORMALISE_THEMSELVES:
        mean = std = (0.5,) * 3
    return Preprocessing(
        mean, std, (side, side), _interpolation(transform.interpolation.value), crop=min(1.0, side / resized)
    )


def _pyramid(architecture: Architecture) -> Preprocessing:
    """The backbone's mean and std, with which its trained weights want to see images; resized as masks and boxes
    allow."""
    base = _timm(Name("timm", backbone_of(architecture.options)))
    return Preprocessing(base.mean, base.std, (DENSE, DENSE))


def _retort(_: Name) -> Preprocessing:
    # Fixed numbers and not the dataset's own, so that a student needs no statistics beside it (our choice).
    return Preprocessing((0.5,) * 3, (0.25,) * 3, (SMALL, SMALL))


def _transformers(name: Name) -> Preprocessing:
    if name.name in FAMILIES:
        return seeing(name.name)
    if name.name in QUERYING:
        return queries.seeing()
    return Preprocessing(segformer.MEAN, segformer.STD, (segformer.SIDE, segformer.SIDE))


_BASES = {"timm": _timm, "torchvision": _torchvision, "retort": _retort, "transformers": _transformers}


def _interpolation(text: str) -> Interpolation:
    return "bicubic" if text == "bicubic" else "nearest" if text == "nearest" else "bilinear"
