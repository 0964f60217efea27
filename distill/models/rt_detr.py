"""`transformers:rt_detr`: RT-DETR (Zhao et al. 2024, arXiv 2304.08069) by its configuration, with one tensor as output.

Options are those of transformers' `RTDetrConfig`, and with `backbone_` before them those of its `RTDetrResNetConfig`.
Names of tensors are transformers' own. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401 - before torchvision, which transformers imports
from distill.models.private_module import QUERYING, private_module
from distill.models.queries import QUERIES, of_backbone, of_every_layer, without_denoising

NAME = "rt_detr"
LEVELS = 3
"""Of the backbone's stages the last three are read, at strides 8, 16 and 32."""


def rt_detr(num_classes: int, in_channels: int, options: Mapping[str, Any]) -> nn.Module:
    """(n, in_channels, h, w) -> rows (n, (L + 1) Q, num_classes + 6) of Q queries, of the encoder's choice and then of
    each of the L decoder layers. The embedding of denoising queries, which are not used, is not trained."""
    from transformers.models.rt_detr import RTDetrConfig
    from transformers.models.rt_detr.configuration_rt_detr_resnet import RTDetrResNetConfig

    backbones, own = of_backbone(options)
    stages = [f"stage{number}" for number in range(2, 2 + LEVELS)]
    backbone = RTDetrResNetConfig(num_channels=in_channels, out_features=stages, **backbones)
    config = RTDetrConfig(
        backbone_config=backbone, encoder_in_channels=list(backbone.hidden_sizes[-LEVELS:]), num_labels=num_classes,
        **own,
    )  # fmt: skip
    config.decoder_in_channels = [config.encoder_hidden_dim] * LEVELS
    return without_denoising(_class()(config))


@cache
def _class() -> type[nn.Module]:
    """One class, so that two such networks are of one."""
    theirs = private_module("transformers.models.rt_detr.modeling_rt_detr", QUERYING)

    class QueryingRTDetr(theirs.RTDetrForObjectDetection):  # type: ignore[misc, name-defined]
        """Denoising queries are not used: they are made of labels, which a network does not see."""

        last_layer = "model.encoder"
        answers = QUERIES

        def forward(self, x: Tensor) -> Tensor:
            return of_every_layer(self.model(x), (x.shape[-2], x.shape[-1]))

    return QueryingRTDetr
