"""Networks by library and name: `timm:...`, `torchvision:...`, `retort:...`; safetensors in, safetensors out.

A name without a library is looked up in timm, then torchvision, then ours. Nothing here downloads weights.
"""

import distill.torchvision_shim  # noqa: F401  (before timm and torchvision)
from distill.modalities.images.preprocessing import Preprocessing
from distill.models.build import build, pin, settled
from distill.models.checkpoint import CheckpointReport, check, classifier, load
from distill.models.cost import Cost, cost
from distill.models.listing import catalogue
from distill.models.names import names
from distill.models.preprocessing import preprocessing
from distill.models.save import save
from distill.models.start import Start, start_from

__all__ = [
    "CheckpointReport",
    "Cost",
    "Preprocessing",
    "Start",
    "build",
    "catalogue",
    "check",
    "classifier",
    "cost",
    "load",
    "names",
    "pin",
    "preprocessing",
    "save",
    "settled",
    "start_from",
]
