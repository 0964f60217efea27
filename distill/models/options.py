"""Which constructor arguments a user may give: plain data from an allow-list, within ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from distill.errors import InvalidConfig, UnknownName
from distill.models.detectors import DETECTORS, Detector
from distill.models.names import FCOS, FPN, Library, Name, is_dense, resolve
from distill.models.small import FAMILY
from distill.types import Architecture
from distill.vision_folder import OPTIONS


@dataclass(frozen=True, slots=True)
class Number:
    """An int (`whole`) or a float in [low, high]; a list of up to 8 of them where `many`."""

    low: float
    high: float
    whole: bool = True
    many: bool = False

    def accepts(self, value: Any) -> bool:
        if isinstance(value, list):
            return self.many and 0 < len(value) <= 8 and all(self._one(item) for item in value)
        return self._one(value)

    def _one(self, value: Any) -> bool:
        kinds = (int,) if self.whole else (int, float)
        return type(value) in kinds and self.low <= value <= self.high

    def __str__(self) -> str:
        what = f"{'an integer' if self.whole else 'a number'} from {self.low:g} to {self.high:g}"
        return f"{what}, or a list of up to 8" if self.many else what


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values."""

    values: tuple[bool | int | str, ...]

    def accepts(self, value: Any) -> bool:
        return any(type(value) is type(known) and value == known for known in self.values)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.values))


@dataclass(frozen=True, slots=True)
class Backbone:
    """A name that timm has, with or without its library."""

    def accepts(self, value: Any) -> bool:
        try:
            return isinstance(value, str) and len(value) <= 200 and resolve(_timm(value)).library == "timm"
        except UnknownName:
            return False

    def __str__(self) -> str:
        return "the name of a timm network, for example resnet18"


def _timm(name: str) -> str:
    return name if name.startswith("timm:") else f"timm:{name}"


Kind = Number | Choice | Backbone
_WIDTH, _WIDTHS = Number(1, 8192), Number(1, 8192, many=True)
_DEPTH, _DEPTHS = Number(1, 128), Number(1, 128, many=True)
_HEADS, _RATE = Number(1, 128, many=True), Number(0, 0.95, whole=False)
_RATIO, _SIZE, _FLAG = Number(0.05, 16, whole=False), Number(1, 4096), Choice((False, True))
_FLAGS = Number(0, 1, many=True)
"""Lists of an architecture's options hold integers alone (`distill.types.Architecture`)."""

ALLOWED: Mapping[Library, Mapping[str, Kind]] = MappingProxyType(
    {
        "timm": {
            "channels": _WIDTHS,
            "layers": _DEPTHS,
            "stem_width": _WIDTH,
            "stem_type": Choice(("", "deep", "deep_tiered")),
            "base_width": _WIDTH,
            "cardinality": Number(1, 256),
            "avg_down": _FLAG,
            "output_stride": Choice((8, 16, 32)),
            "embed_dim": _WIDTHS,
            "depth": _DEPTHS,
            "depths": _DEPTHS,
            "dims": _WIDTHS,
            "num_heads": _HEADS,
            "mlp_ratio": _RATIO,
            "img_size": _SIZE,
            "patch_size": Number(1, 64),
            "window_size": Number(1, 64),
            "class_token": _FLAG,
            "reg_tokens": Number(0, 64),
            "qkv_bias": _FLAG,
            "global_pool": Choice(("avg", "max", "avgmax", "token")),
            "drop_rate": _RATE,
            "drop_path_rate": _RATE,
            "attn_drop_rate": _RATE,
            "proj_drop_rate": _RATE,
        },
        "torchvision": {
            "width_mult": Number(0.05, 8, whole=False),
            "groups": Number(1, 256),
            "width_per_group": _WIDTH,
            "image_size": _SIZE,
            "dropout": _RATE,
            "attention_dropout": _RATE,
            "stochastic_depth_prob": _RATE,
            "zero_init_residual": _FLAG,
        },
        "retort": {"width": Number(1, 1024)},
        "transformers": {
            "depths": _DEPTHS,
            "hidden_sizes": _WIDTHS,
            "num_attention_heads": _HEADS,
            "sr_ratios": Number(1, 64, many=True),
            "mlp_ratios": Number(1, 16, many=True),
            "decoder_hidden_size": _WIDTH,
            "hidden_dropout_prob": _RATE,
            "attention_probs_dropout_prob": _RATE,
            "classifier_dropout_prob": _RATE,
            "drop_path_rate": _RATE,
        },
    }
)
"""Library -> option -> what it may be. A constructor may still lack an option; building then says so."""
_ACTIVATION = Choice(("gelu", "relu", "silu", "selu", "gelu_new", "quick_gelu", "gelu_pytorch_tanh"))
_VISION: Mapping[str, Kind] = MappingProxyType(
    {
        "hidden_size": _WIDTH,
        "num_hidden_layers": _DEPTH,
        "num_attention_heads": Number(1, 128),
        "intermediate_size": Number(1, 65536),
        "mlp_ratio": _RATIO,
        "image_size": _SIZE,
        "patch_size": Number(1, 64),
        "hidden_act": _ACTIVATION,
        "hidden_dropout_prob": _RATE,
        "attention_probs_dropout_prob": _RATE,
        "drop_path_rate": _RATE,
        "layer_norm_eps": Number(0, 0.1, whole=False),
        "layerscale_value": Number(0, 10, whole=False),
        "layer_scale_init_value": Number(0, 10, whole=False),
        "qkv_bias": _FLAG,
        "use_swiglu_ffn": _FLAG,
        "use_mask_token": _FLAG,
        "use_absolute_embeddings": _FLAG,
        "embed_dim": _WIDTH,
        "embedding_size": _WIDTH,
        "hidden_sizes": _WIDTHS,
        "depths": _DEPTHS,
        "num_heads": _HEADS,
        "window_size": Number(1, 64),
        "layer_type": Choice(("basic", "bottleneck")),
        "downsample_in_first_stage": _FLAG,
        "downsample_in_bottleneck": _FLAG,
        "d_model": _WIDTH,
        "encoder_hidden_dim": _WIDTH,
        "encoder_layers": Number(0, 128),
        "encoder_ffn_dim": Number(1, 65536),
        "encoder_attention_heads": Number(1, 128),
        "encoder_activation_function": _ACTIVATION,
        "activation_function": _ACTIVATION,
        "hidden_expansion": Number(0.05, 16, whole=False),
        "normalize_before": _FLAG,
        "num_queries": Number(1, 2000),
        "decoder_layers": _DEPTH,
        "decoder_ffn_dim": Number(1, 65536),
        "decoder_attention_heads": Number(1, 128),
        "decoder_n_points": Number(1, 32, many=True),
        "decoder_activation_function": _ACTIVATION,
        "freeze_backbone_batch_norms": _FLAG,
        "dropout": _RATE,
        "batch_norm_eps": Number(0, 0.1, whole=False),
        "stem_channels": _WIDTHS,
        "stage_in_channels": _WIDTHS,
        "stage_mid_channels": _WIDTHS,
        "stage_out_channels": _WIDTHS,
        "stage_num_blocks": _DEPTHS,
        "stage_downsample": _FLAGS,
        "stage_light_block": _FLAGS,
        "stage_kernel_size": Number(1, 31, many=True),
        "stage_numb_of_layers": _DEPTHS,
        "use_learnable_affine_block": _FLAG,
        "depth_mult": Number(0.05, 16, whole=False),
        "num_feature_levels": Choice((2, 3)),
        "decoder_offset_scale": Number(0, 16, whole=False),
        "decoder_method": Choice(("default", "discrete")),
        "max_num_bins": Number(4, 256),
        "reg_scale": Number(0.1, 64, whole=False),
        "up": Number(0.01, 8, whole=False),
        "top_prob_values": Number(1, 256),
        "lqe_hidden_dim": _WIDTH,
        "lqe_layers": Number(1, 16),
    }
)
_PYRAMID: Mapping[str, Kind] = {
    "backbone": Backbone(), "width": Number(1, 1024), "img_size": _SIZE, "drop_path_rate": _RATE,
}  # fmt: skip


def _of_detector(detector: Detector) -> Mapping[str, Kind]:
    more: dict[str, Kind] = {"proposals": Number(1, detector.most)} if detector.most else {}
    return {"backbone": Choice(detector.backbones)} | more


OWN: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        f"retort:{FPN}": _PYRAMID,
        f"retort:{FCOS}": {**_PYRAMID, "depth": Number(1, 8), "finest": Choice((4, 8))},
    }
    | {f"torchvision:{name}": _of_detector(detector) for name, detector in DETECTORS.items()}
    | {
        f"transformers:{family}": {name: _VISION[name.removeprefix("backbone_")] for name in names}
        for family, names in OPTIONS.items()
    }
)
"""The same for networks that have options of their own, by their full names."""


def allowed(name: Name) -> Mapping[str, Kind]:
    """The network's options and what each may be."""
    if name.library == "torchvision" and is_dense(name) and str(name) not in OWN:
        return {}  # torchvision's take none of its classifiers' options
    return OWN.get(str(name), ALLOWED[name.library])


def checked(name: Name, options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` as given, if each is allowed for the library and within its range. Raises `InvalidConfig`."""
    known = allowed(name)
    for option, value in options.items():
        if option not in known:
            raise InvalidConfig(
                f"{name} takes no option {option!r}.",
                f"Options of {name}: {', '.join(sorted(known)) or 'none'}.",
                {"architecture": str(name), "option": option},
            )
        if not known[option].accepts(value):
            raise InvalidConfig(
                f"Option {option!r} of {name} cannot be {str(value)[:100]}.",
                f"Give {known[option]}.",
                {"architecture": str(name), "option": option},
            )
    return dict(options)


def in_full(architecture: Architecture) -> Architecture:
    """The architecture with the width that its name alone means among the options, for `retort:` networks: so that two
    spellings of one network are equal."""
    member = FAMILY.get(architecture.name.removeprefix("retort:"))
    if member is None or not architecture.name.startswith("retort:"):
        return architecture
    return architecture.model_copy(update={"options": {"width": member.width} | architecture.options})
