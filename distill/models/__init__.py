"""Networks by library and name: `timm:...`, `torchvision:...`, `retort:...`; safetensors in, safetensors out.

A name without a library is looked up in timm, then torchvision, then ours. Nothing here downloads weights.
"""

import distill.torchvision_shim  # noqa: F401  (before timm and torchvision)
from distill.modalities.images.preprocessing import Preprocessing
from distill.models.build import build, pin
from distill.models.checkpoint import CheckpointReport, check, load
from distill.models.cost import Cost, cost
from distill.models.names import catalogue, names
from distill.models.preprocessing import preprocessing
from distill.models.save import save

__all__ = [
    "CheckpointReport",
    "Cost",
    "Preprocessing",
    "build",
    "catalogue",
    "check",
    "cost",
    "load",
    "names",
    "pin",
    "preprocessing",
    "save",
]
