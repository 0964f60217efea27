"""`transformers:d_fine`: D-FINE (Peng et al. 2024, arXiv 2410.13842) by its configuration, with one tensor as output.

Options are those of transformers' `DFineConfig`, and with `backbone_` before them those of its `HGNetV2Config`. Names
of tensors are transformers' own. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401 - before torchvision, which transformers imports
from distill.models.private_module import QUERYING, private_module
from distill.models.queries import REFINED_QUERIES, of_backbone, of_every_layer, refined, without_denoising

NAME = "d_fine"
STAGES = 4
"""Of HGNetV2, at strides 4, 8, 16 and 32."""
_STRIDES = (4, 8, 16, 32)
_FLAGS = {"stage_downsample", "stage_light_block"}


def d_fine(num_classes: int, in_channels: int, options: Mapping[str, Any]) -> nn.Module:
    """(n, in_channels, h, w) -> rows (n, (L + 2) Q, num_classes + 6 + 4 (B + 1) + 4) of Q queries, B `max_num_bins`: of
    the encoder's choice, of the box that refinement starts from, and then of each of the L decoder layers
    (`distill.models.queries.Refined`). The same rows in training and evaluation. The last `num_feature_levels` stages
    of the backbone are read. The embedding of denoising queries, which are not used, is not trained."""
    from transformers.models.d_fine import DFineConfig

    backbones, own = of_backbone(options)
    levels = int(own.get("num_feature_levels", 3))
    backbone = _backbone(in_channels, levels, backbones)
    width = own.get("encoder_hidden_dim", DFineConfig().encoder_hidden_dim)
    config = DFineConfig(
        backbone_config=backbone, encoder_in_channels=list(backbone.stage_out_channels[-levels:]),
        feat_strides=list(_STRIDES[-levels:]), encode_proj_layers=[levels - 1], decoder_in_channels=[width] * levels,
        num_labels=num_classes, tie_word_embeddings=False, **own,
    )  # fmt: skip
    network = _class()(config)
    # transformers has the decoder's heads under two names, tied, and writes the names within the decoder alone. Its
    # tying refuses a single decoder layer; without the second names nothing is to be tied.
    del network.class_embed, network.bbox_embed
    config.tie_word_embeddings = True
    return without_denoising(network)


def _backbone(in_channels: int, levels: int, given: dict[str, Any]) -> Any:
    from transformers import HGNetV2Config

    plain = HGNetV2Config()
    stem = list(given.pop("stem_channels", plain.stem_channels))
    widths = list(given.get("stage_out_channels", plain.stage_out_channels))
    given |= {name: [bool(flag) for flag in given[name]] for name in _FLAGS & given.keys()}
    return HGNetV2Config(
        num_channels=in_channels, stem_channels=[in_channels, *stem[1:]], embedding_size=stem[-1], hidden_sizes=widths,
        out_features=[f"stage{number}" for number in range(1 + STAGES - levels, 1 + STAGES)], **given,
    )  # fmt: skip


@cache
def _class() -> type[nn.Module]:
    """One class, so that two such networks are of one."""
    theirs = private_module("transformers.models.d_fine.modeling_d_fine", QUERYING)

    class EveryLayer(theirs.DFineDecoder):  # type: ignore[misc, name-defined]
        """transformers' decoder answers by all its layers where its `training` is set, else by the last alone, and asks
        for nothing else by it: what lies below keeps the mode that is set."""

        def train(self, mode: bool = True) -> Any:
            super().train(mode)
            self.training = True
            return self

    class RefiningDFine(theirs.DFineForObjectDetection):  # type: ignore[misc, name-defined]
        """Denoising queries are not used: they are made of labels, which a network does not see."""

        last_layer = "model.encoder"
        answers = REFINED_QUERIES

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.model.decoder.__class__ = EveryLayer
            self.model.decoder.train(self.training)

        def forward(self, x: Tensor) -> Tensor:
            found = self.model(x)
            rows = of_every_layer(found, (x.shape[-2], x.shape[-1]))
            return refined(rows, found.intermediate_predicted_corners, found.initial_reference_points)

    return RefiningDFine
