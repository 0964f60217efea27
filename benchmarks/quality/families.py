"""The networks that the discovery sweep covers: one or two small members of every family, random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from distill import torchvision_shim  # noqa: F401  (before torchvision and timm)

TIMM = """
resnet18 resnet50d resnext50_32x4d wide_resnet50_2 legacy_seresnet18 ecaresnet26t resnetrs50 resnetv2_50
res2net50_14w_8s resnest14d skresnet18 tresnet_m regnetx_002 regnety_002 densenet121 rdnet_tiny mobilenetv2_050
mobilenetv3_small_050 mobilenetv4_conv_small_035 efficientnet_b0 efficientnetv2_rw_t tf_efficientnet_lite0
ghostnet_050 repghostnet_050 mnasnet_small semnasnet_075 spnasnet_100 fbnetc_100 lcnet_035 tinynet_e hardcorenas_a
mobilenet_edgetpu_100 rexnet_100 vgg11 vgg11_bn convnext_atto convnextv2_atto inception_next_atto nf_regnet_b0
nf_resnet26 dm_nfnet_f0 gernet_s vit_tiny_patch16_224 vit_relpos_small_patch16_224 vit_small_resnet26d_224
deit_tiny_patch16_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224 beit_base_patch16_224
eva02_tiny_patch14_224 swin_tiny_patch4_window7_224 swin_s3_tiny_224 swinv2_cr_tiny_ns_224 maxvit_rmlp_pico_rw_256
coatnet_pico_rw_224 mixer_s32_224 resmlp_12_224 gmlp_ti16_224 convmixer_1024_20_ks9_p14 xcit_nano_12_p16_224
cait_xxs24_224 pit_ti_224 levit_128s pvt_v2_b0 twins_svt_small crossvit_tiny_240 coat_tiny convit_tiny visformer_tiny
tnt_s_patch16_224 volo_d1_224 poolformer_s12 convformer_s18 caformer_s18 edgenext_xx_small mobilevit_xxs
mobilevitv2_050 efficientformer_l1 efficientformerv2_s0 fastvit_t8 hgnet_tiny hrnet_w18_small dla34 dpn48b
inception_v3 inception_v4 inception_resnet_v2 xception41p repvgg_a0 mobileone_s0 selecsls42 ese_vovnet19b_dw
cspresnet50 cspdarknet53 nest_tiny focalnet_tiny_srf davit_tiny gcvit_xxtiny mvitv2_tiny hiera_tiny_224 sequencer2d_s
tiny_vit_5m_224 repvit_m0_9 efficientvit_b0 efficientvit_m0 starnet_s1 nextvit_small pnasnet5large bat_resnext26ts
botnet26t_256 vitamin_small_224 mambaout_femto shvit_s1
""".split()  # noqa: SIM905  (a list of strings would take a line each)

TORCHVISION = """
resnet18 resnext50_32x4d wide_resnet50_2 vgg11 vgg11_bn alexnet densenet121 mobilenet_v2 mobilenet_v3_small
mobilenet_v3_large efficientnet_b0 efficientnet_v2_s regnet_x_400mf regnet_y_400mf convnext_tiny mnasnet0_5
shufflenet_v2_x0_5 squeezenet1_0 squeezenet1_1 googlenet inception_v3 vit_b_16 swin_t swin_v2_t maxvit_t
""".split()  # noqa: SIM905  (a list of strings would take a line each)

NAMES = [f"torchvision:{name}" for name in TORCHVISION] + [f"timm:{name}" for name in TIMM]
SIZES = {  # where 64 px is too small or not accepted, and timm's configuration does not say so
    **{f"torchvision:{name}": 224 for name in ("vit_b_16", "maxvit_t")},
    **{f"timm:{name}": 96 for name in ("inception_v3", "inception_v4", "inception_resnet_v2")},
    **{f"timm:{name}": 224 for name in ("twins_svt_small", "sequencer2d_s", "levit_128s", "efficientformerv2_s0")},
    **{f"timm:{name}": 224 for name in ("coat_tiny", "mvitv2_tiny", "efficientvit_m0", "efficientformer_l1")},
    "torchvision:inception_v3": 96,
    "timm:bat_resnext26ts": 256,
}


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network by `library:name` with random weights, and two random images of a size that it takes."""
    library, _, key = name.partition(":")
    if library == "torchvision":
        from torchvision.models import get_model

        options: dict[str, Any] = {"init_weights": False} if key in ("googlenet", "inception_v3") else {}
        model = get_model(key, weights=None, **options)
        size = SIZES.get(name, 64)
    else:
        import timm

        model = timm.create_model(key, pretrained=False)
        fixed = model.pretrained_cfg.get("fixed_input_size", False)
        size = SIZES.get(name, model.pretrained_cfg["input_size"][-1] if fixed else 64)
    return model, torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
