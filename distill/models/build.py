"""An architecture as a module with random weights."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from distill.errors import InvalidConfig
from distill.headless import headless as of_name
from distill.models import d_fine, rt_detr, small
from distill.models.detectors import DETECTORS
from distill.models.fewer_blocks import without
from distill.models.fpn import backbone_of
from distill.models.names import FCOS, PYRAMIDS, Name, is_dense, resolve
from distill.models.options import checked
from distill.models.segformer import segformer
from distill.models.vision import SIZED, vision
from distill.models.widths import narrow
from distill.pruned import BLOCKS, RATIO, SHARE, WIDTHS, split
from distill.pruned import check as check_pruning
from distill.types import Architecture
from distill.vision_folder import FAMILIES

MAX_PARAMETERS = 6_000_000_000
"""More is refused before anything is allocated; the largest network of the catalogue has 4.35e9 (EVA-02-E)."""
MAX_CLASSES, MAX_CHANNELS = 1_000_000, 64
SIZE_OPTIONS = ("img_size", "image_size")
"""What the libraries call the side of the input among an architecture's options."""
_DRAWS = {"normal_", "uniform_", "trunc_normal_"}
_ARGUMENT = re.compile(r"(unexpected|multiple values for) keyword argument(?:\(s\))?:? \[?'(\w+)'")
_WITH_AUXILIARY = {"googlenet": {"aux_logits": False, "init_weights": True}}
_WITH_AUXILIARY["inception_v3"] = _WITH_AUXILIARY["googlenet"]

Size = int | tuple[int, int] | None


def build(architecture: Architecture, num_classes: int, in_channels: int = 3, image_size: Size = None) -> nn.Module:
    """The network with random weights, in train mode, on the CPU: (n, in_channels, h, w) -> (n, num_classes), or what
    holds (n, num_classes, h', w') where the network answers for every pixel. With `num_classes` 0 a network of timm,
    or a classifier of transformers, has no last layer and gives (n, width); other libraries have no such form.

    `image_size` (pixels, a side or (h, w)) matters to networks with fixed positions (ViT, Swin): it becomes their
    `img_size` unless the options say otherwise; others take any size. Auxiliary heads (GoogLeNet, Inception v3, FCN,
    DeepLab) are not built. Draws from torch's global generator only; downloads nothing. Raises `UnknownName`,
    `InvalidConfig`.
    """
    skeleton(architecture, num_classes, in_channels, image_size)
    return _construct(settled(pin(architecture, image_size), in_channels, image_size), num_classes, in_channels)


def skeleton(architecture: Architecture, num_classes: int, in_channels: int = 3, image_size: Size = None) -> nn.Module:
    """As `build`, on the meta device: shapes without storage. Refuses what has more than `MAX_PARAMETERS`."""
    _check_counts(num_classes, in_channels, headless=headless(architecture))
    architecture = settled(pin(architecture, image_size), in_channels, image_size)
    try:
        with torch.device("meta"), _NothingDrawn():
            network = _construct(architecture, num_classes, in_channels)
    except (NotImplementedError, InvalidConfig) as error:
        if "meta" not in str(error):
            raise
        # Some compute widths or rates with tensors (torchvision's RegNet, timm before 1.0.20), which cannot be read
        # back from the meta device.
        with _ParametersOnMeta():
            network = _construct(architecture, num_classes, in_channels)
    count = sum(parameter.numel() for parameter in network.parameters())
    if count > MAX_PARAMETERS:
        raise InvalidConfig(
            f"{architecture.name} would have {count:.2g} parameters.",
            f"Choose options that give at most {MAX_PARAMETERS:.2g}.",
            {"architecture": architecture.name, "parameters": count},
        )
    return network


def pin(architecture: Architecture, image_size: Size) -> Architecture:
    """The architecture with `image_size` among its options where its tensors' shapes depend on it, so that it can be
    built again from itself alone. Options that are already there win."""
    name = resolve(architecture.name)
    option = size_option(architecture)
    if image_size is None or option is None or option in architecture.options:
        return architecture
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    if height != width:
        raise InvalidConfig(
            f"{name} needs square images, not {height} x {width}.", "Give one side as image size.", {"name": str(name)}
        )
    return architecture.model_copy(update={"options": architecture.options | {option: height}})


def settled(architecture: Architecture, in_channels: int, image_size: Size) -> Architecture:
    """With what its shares of pruning mean among the options, where it has some (`distill.models.pruning.settled`)."""
    options = architecture.options
    if all(share not in options or what in options for share, what in ((RATIO, WIDTHS), (SHARE, BLOCKS))):
        return architecture
    check_pruning(split(architecture.options)[1])
    from distill.models import pruning  # torch-pruning, which the others do without
    from distill.models.preprocessing import preprocessing

    size = preprocessing(architecture, "auto", None, in_channels).size if image_size is None else image_size
    return pruning.settled(architecture, in_channels, (size, size) if isinstance(size, int) else (size[0], size[1]))


def size_option(architecture: Architecture) -> str | None:
    """The option that holds the input's side where parameters depend on it, of the network or of the backbone under a
    pyramid; else None."""
    name = resolve(architecture.name)
    if name.library == "timm" or name.name in PYRAMIDS:
        import timm  # here: names.py says why

        timms = name.name if name.library == "timm" else backbone_of(architecture.options)
        config = timm.get_pretrained_cfg(timms, allow_unregistered=True)
        return "img_size" if config is not None and config.fixed_input_size else None
    if name.library == "torchvision" and name.name.startswith("vit_"):
        return "image_size"
    if name.library == "transformers" and name.name in SIZED:
        return "image_size"
    return None


def headless(architecture: Architecture) -> bool:
    """Whether the library builds such networks without a classifier. Raises `UnknownName`."""
    return of_name(str(resolve(architecture.name)))


def _check_counts(num_classes: int, in_channels: int, *, headless: bool) -> None:
    least = 0 if headless else 1
    if not least <= num_classes <= MAX_CLASSES:
        raise InvalidConfig(f"A classifier cannot have {num_classes} classes.", f"Give {least} to {MAX_CLASSES}.")
    if not 1 <= in_channels <= MAX_CHANNELS:
        raise InvalidConfig(f"A network cannot have {in_channels} input channels.", f"Give 1 to {MAX_CHANNELS}.")


def _construct(architecture: Architecture, num_classes: int, in_channels: int) -> nn.Module:
    name = resolve(architecture.name)
    own, pruning = split(architecture.options)
    check_pruning(pruning)
    options = checked(name, own)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = _made(name, num_classes, in_channels, options)
        network = without(network, pruning.get(BLOCKS, {}))
        return narrow(network, pruning.get(WIDTHS, {}))
    except NotImplementedError:
        raise
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError, IndexError, ArithmeticError) as error:
        raise InvalidConfig(
            f"{name} cannot be built with {options or 'these inputs'}: {error}",
            "Change or drop the options; the network's own constructor refused them.",
            {"architecture": str(name), "options": options},
        ) from error


def _made(name: Name, num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    """By the library's constructor. Networks of any input size take no argument for one, and are built without it; any
    other option that a constructor does not take is refused by name."""
    try:
        return _CONSTRUCTORS[name.library](name.name, num_classes, in_channels, options)
    except TypeError as error:
        found = _ARGUMENT.search(str(error))
        if found is None or found[2] not in options:
            raise
        option = found[2]
    if option in SIZE_OPTIONS:
        return _made(name, num_classes, in_channels, {key: value for key, value in options.items() if key != option})
    raise InvalidConfig(
        f"{name} takes no option {option!r}.", "Drop it, or name another architecture.",
        {"architecture": str(name), "option": option},
    )  # fmt: skip


def _timm(name: str, num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(
        name, pretrained=False, num_classes=num_classes, in_chans=in_channels, **options
    )
    return network


def _torchvision(name: str, num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    network = _detector(name, num_classes, options) if name in DETECTORS else _plain(name, num_classes, options)
    if in_channels != 3:
        _replace_stem(network, in_channels)
    return network


def _plain(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    import torchvision.models

    if is_dense(Name("torchvision", name)):
        options = {"weights_backbone": None, **options}  # else torchvision downloads ImageNet's for it
    options = _WITH_AUXILIARY.get(name, {}) | options
    network: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options)
    return network


def _detector(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    module = import_module(f"distill.models.{DETECTORS[name].module}")  # torchvision, which the others do without
    network: nn.Module = module.make(num_classes, options)
    return network


def _retort(name: str, num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    if name in PYRAMIDS:
        from distill.models.fcos import fcos  # timm, which the others do without
        from distill.models.fpn import fpn

        return (fcos if name == FCOS else fpn)(num_classes, in_channels, options)
    member = small.FAMILY[name]
    return member.make(num_classes, in_channels, options.get("width", member.width))


def _transformers(name: str, num_classes: int, in_channels: int, options: dict[str, Any]) -> nn.Module:
    if name in FAMILIES:
        return vision(name, num_classes, in_channels, options)
    if name in _QUERYING:
        return _QUERYING[name](num_classes, in_channels, options)
    return segformer(num_classes, in_channels, options)


_QUERYING = {rt_detr.NAME: rt_detr.rt_detr, d_fine.NAME: d_fine.d_fine}
_CONSTRUCTORS: dict[str, Callable[[str, int, int, dict[str, Any]], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "retort": _retort,
    "transformers": _transformers,
}


def _replace_stem(network: nn.Module, in_channels: int) -> None:
    """torchvision's constructors know three channels only; their first convolution is made anew for others."""
    path, old = next((path, m) for path, m in network.named_modules() if isinstance(m, nn.Conv2d))
    assert old.in_channels == 3
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    network.set_submodule(path, new)


class _NothingDrawn(TorchFunctionMode):
    """Initial values are not drawn for tensors on the meta device, which keep none: torch would import its compiler to
    draw them, which takes longer than the whole network."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in _DRAWS:
            drawn = kwargs["tensor"] if "tensor" in kwargs else args[0]
            if isinstance(drawn, torch.Tensor) and drawn.is_meta:
                return drawn
        return func(*args, **kwargs)


class _ParametersOnMeta(TorchFunctionMode):
    """Uninitialised tensors, which parameters start as, go to the meta device; computed ones stay readable."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in {torch.empty, torch.zeros, torch.ones} and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


@contextmanager
def unchanged_rng() -> Iterator[None]:
    """Restores torch's global CPU generator: random weights that are about to be replaced must not shift a run."""
    state = torch.random.get_rng_state()
    try:
        yield
    finally:
        torch.random.set_rng_state(state)
