"""What a Hugging Face folder of a picture network says of it, as the header of one file of ours says it. Torch-free.

`config.json` gives the architecture with its options and the names of the classes, `preprocessor_config.json` how it
sees pictures. Nothing in them is run: a family is known by its `model_type`, its numbers by an allow-list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distill.errors import InvalidTeacher
from distill.model_config import check_keys

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
FAMILIES = ("vit", "swin", "convnext", "resnet", "dinov2")
"""`model_type` of the families that are read, each `transformers:<family>` here."""
NAMES = tuple(f"transformers:{family}" for family in FAMILIES)
"""Their names here."""
DETECTORS = ("rt_detr", "d_fine")
DETECTOR_NAMES = tuple(f"transformers:{family}" for family in DETECTORS)
"""The same of detectors."""
BY_CONFIGURATION = frozenset((*NAMES, *DETECTOR_NAMES))
_ATTENTION = ("hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps", "qkv_bias")
_TRANSFORMER = ("hidden_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size", *_ATTENTION)
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "vit": (*_TRANSFORMER, "intermediate_size"),
    "dinov2": (*_TRANSFORMER, "mlp_ratio", "layerscale_value", "drop_path_rate", "use_swiglu_ffn", "use_mask_token"),
    "swin": (
        "embed_dim", "depths", "num_heads", "window_size", "mlp_ratio", "drop_path_rate", "use_absolute_embeddings",
        "image_size", "patch_size", *_ATTENTION,
    ),
    "convnext": (
        "hidden_sizes", "depths", "patch_size", "hidden_act", "layer_norm_eps", "layer_scale_init_value",
        "drop_path_rate",
    ),
    "resnet": (
        "embedding_size", "hidden_sizes", "depths", "layer_type", "hidden_act", "downsample_in_first_stage",
        "downsample_in_bottleneck",
    ),
    "rt_detr": (
        "backbone_embedding_size", "backbone_hidden_sizes", "backbone_depths", "backbone_layer_type",
        "backbone_hidden_act", "backbone_downsample_in_first_stage", "backbone_downsample_in_bottleneck", "d_model",
        "encoder_hidden_dim", "encoder_layers", "encoder_ffn_dim", "encoder_attention_heads",
        "encoder_activation_function", "activation_function", "hidden_expansion", "normalize_before", "num_queries",
        "decoder_layers", "decoder_ffn_dim", "decoder_attention_heads", "decoder_n_points",
        "decoder_activation_function", "freeze_backbone_batch_norms", "dropout",
        "layer_norm_eps", "batch_norm_eps",
    ),
    "d_fine": (
        "backbone_stem_channels", "backbone_stage_in_channels", "backbone_stage_mid_channels",
        "backbone_stage_out_channels", "backbone_stage_num_blocks", "backbone_stage_downsample",
        "backbone_stage_light_block", "backbone_stage_kernel_size", "backbone_stage_numb_of_layers",
        "backbone_use_learnable_affine_block", "backbone_hidden_act", "d_model", "encoder_hidden_dim",
        "encoder_layers", "encoder_ffn_dim", "encoder_attention_heads", "encoder_activation_function",
        "activation_function", "hidden_expansion", "depth_mult", "normalize_before", "num_queries",
        "num_feature_levels", "decoder_layers", "decoder_ffn_dim", "decoder_attention_heads", "decoder_n_points",
        "decoder_activation_function", "decoder_offset_scale", "decoder_method", "max_num_bins", "reg_scale", "up",
        "top_prob_values", "lqe_hidden_dim", "lqe_layers", "freeze_backbone_batch_norms", "dropout",
        "layer_norm_eps", "batch_norm_eps",
    ),
}  # fmt: skip
"""Family -> the fields of its configuration that make the network: its options here."""
_QUERYING: Mapping[str, tuple[Any, ...]] = {
    "learn_initial_query": (False,), "with_box_refine": (True,), "positional_encoding_temperature": (10_000,),
}  # fmt: skip
FIXED: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "rt_detr": {
        **_QUERYING, "backbone_model_type": ("rt_detr_resnet",), "num_feature_levels": (3,),
        "feat_strides": ([8, 16, 32],), "encode_proj_layers": ([2],),
    },
    "d_fine": {
        **_QUERYING, "backbone_model_type": ("hgnet_v2",), "feat_strides": ([8, 16, 32], [16, 32]),
        "encode_proj_layers": ([2], [1]), "eval_idx": (-1,), "layer_scale": (1,),
    },
}  # fmt: skip
"""Family -> fields that make the network and are no options here: the values that it is built with. transformers (5.23)
itself cannot run `learn_initial_query`, nor a decoder that goes on after `eval_idx`."""
_RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_NUMBERED = "LABEL_"
_REMEDY = "Save the folder anew with `model.save_pretrained` and `processor.save_pretrained`."


def is_known(config: Mapping[str, Any]) -> bool:
    """Whether it is the configuration of a family that is read."""
    return config.get("model_type") in OPTIONS


def header_of(config: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as `distill.tasks._images.delivery` writes them: `architecture`, `classes` where the configuration names
    them and `preprocessing` where the other file tells it; {} for another family. Raises `InvalidTeacher` for values
    that are not what they must be."""
    if not is_known(config):
        return {}
    check_keys(config, _REMEDY)
    try:
        return _header(config, preprocessor)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
        message = f"The model folder was refused: its configuration cannot be read ({type(error).__name__}: {error})."
        raise InvalidTeacher(message[:300], _REMEDY) from error


def _header(config: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> dict[str, str]:
    family = config["model_type"]
    flat = {**config, **{f"backbone_{name}": value for name, value in (config.get("backbone_config") or {}).items()}}
    _check_fixed(family, flat)
    options = {name: flat[name] for name in OPTIONS[family] if flat.get(name) is not None}
    found: dict[str, Any] = {"architecture": {"name": f"transformers:{family}", "options": options}}
    if names := _classes(config):
        found["classes"] = names
    if how := _seeing(preprocessor, int(config.get("num_channels", 3))):
        found["preprocessing"] = how
    return {name: json.dumps(value) for name, value in found.items()}


def _check_fixed(family: str, flat: Mapping[str, Any]) -> None:
    for field, known in FIXED.get(family, {}).items():
        value = flat.get(field)
        if value is not None and value not in known:
            raise InvalidTeacher(
                f"The model folder was refused: {field} is {str(value)[:100]}, with which {family} is not built here.",
                f"Use a model whose {field} is {' or '.join(map(str, known))}.",
                {"field": field, "known": list(known)},
            )


def _classes(config: Mapping[str, Any]) -> list[str]:
    """By number; [] where they are numbers themselves, or only transformers' own names for numbers."""
    names = {int(number): str(name) for number, name in (config.get("id2label") or {}).items()}
    if sorted(names) != list(range(len(names))) or all(name.startswith(_NUMBERED) for name in names.values()):
        return []
    return [names[number] for number in range(len(names))]


def _seeing(given: Mapping[str, Any], channels: int) -> dict[str, Any] | None:
    """The fields of a `Preprocessing`: the crop's size where the centre is cropped, of the share of the resized side
    that it keeps."""
    if not given:
        return None
    resized = _side(given.get("size"))
    size = _sides(given.get("crop_size")) if given.get("do_center_crop") else _sides(given.get("size"))
    if size is None or resized is None:
        return None
    crop = min(size) / resized if given.get("do_center_crop") else _share(given, resized)
    normal = given.get("do_normalize", True)
    mean, std = (
        _values(given.get(name), channels) if normal else [plain] * channels for name, plain in _NORMAL.items()
    )
    return {
        "mean": mean, "std": std, "size": list(size), "channels": channels, "crop": min(1.0, crop),
        "interpolation": _RESAMPLING.get(given.get("resample", 2), "bilinear"),
    }  # fmt: skip


def _share(given: Mapping[str, Any], side: int) -> float:
    """What ConvNeXt's processor keeps: all of pictures of 384 pixels and more."""
    return 1.0 if side >= _UNCROPPED else float(given.get("crop_pct") or 1.0)


_UNCROPPED = 384
_NORMAL = {"image_mean": 0.0, "image_std": 1.0}
"""What normalises nothing."""


def _values(given: Any, channels: int) -> list[float]:
    values = [float(value) for value in (given if isinstance(given, list) else [given])]
    return values * channels if len(values) == 1 else values


def _sides(given: Any) -> tuple[int, int] | None:
    """(height, width) of transformers' three ways to say a size."""
    if isinstance(given, int):
        return given, given
    if isinstance(given, list) and len(given) == 2:
        return int(given[0]), int(given[1])
    if not isinstance(given, Mapping):
        return None
    side = given.get("shortest_edge")
    return (int(side), int(side)) if side else (int(given["height"]), int(given["width"]))


def _side(given: Any) -> int | None:
    found = _sides(given)
    return None if found is None else min(found)
