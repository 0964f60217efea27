"""timm and torchvision import only after the shim, and import sorting would put them first in a test module."""

import distill.torchvision_shim  # noqa: F401
