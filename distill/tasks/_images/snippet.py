"""Python that loads a classifier's `student.safetensors`, in plain timm or torchvision where that is possible."""

from __future__ import annotations

from collections.abc import Mapping

from distill.export import Context
from distill.models.names import resolve
from distill.models.vision import configured, named
from distill.pruned import is_pruned

_CENTRE = '''
def prepare(path):
    """An image file's centre, in the input's shape, as the {whose} input, (1, {channels}, {height}, {width})."""
    image = Image.open(path).convert("{mode}")
    scale = min(image.width / {width}, image.height / {height})
    scale *= {crop} if scale > 1 else 1  # of a larger image the edge is left out
    w, h = min(image.width, {width} * scale), min(image.height, {height} * scale)
{whole}    box = ((image.width - w) / 2, (image.height - h) / 2, (image.width + w) / 2, (image.height + h) / 2)
    image = image.resize(({width}, {height}), Image.Resampling.{resampling}, box)
'''
_NORMALISED = """\
    pixels = torch.from_numpy(np.array(image)).reshape({height}, {width}, {channels}).permute(2, 0, 1) / 255
    mean, std = torch.tensor({mean}), torch.tensor({std})
    return ((pixels - mean[:, None, None]) / std[:, None, None])[None]
"""

_PLAIN = """import numpy as np
import torch
{imports}
from PIL import Image
from safetensors.torch import load_file

classes = {classes}
model = {build}
model.load_state_dict(load_file("student.safetensors"))
model.eval()

{prepare}

with torch.inference_mode():
    print(classes[model(prepare("image.png")){logits}.argmax(1).item()])
"""

_BACKBONE = """import numpy as np
import torch
{imports}
from PIL import Image
from safetensors.torch import load_file

model = {build}
model.load_state_dict(load_file("student.safetensors"))
model.eval()

{prepare}

with torch.inference_mode():
    print(model(prepare("image.png")){logits}.shape)
"""

_OUR_BACKBONE = """from distill.student import load_student

student = load_student("student.safetensors")
print(student.features(["image.png"]).shape)
"""

_OURS = """from distill.student import load_student

student = load_student("student.safetensors")
for prediction in student.predict(["image.png"]):
    print(prediction.label, prediction.probability)
"""


def snippet(context: Context) -> str:
    """Python that loads `student.safetensors` and classifies `image.png`, both in the working directory; of a backbone
    it gives the features."""
    name = resolve(context.architecture.name)
    how = context.preprocessing
    unusual = how.pixel_range is not None or is_pruned(context.architecture)
    if unusual or name.library == "retort" or (name.library == "torchvision" and how.channels != 3):
        return _OURS if context.classes else _OUR_BACKBONE
    keywords = {"num_classes": len(context.classes)} | dict(context.architecture.options)
    logits = ""
    if name.library == "transformers":
        imports, call, logits = *_transformers(context, name.name), ".logits"
    elif name.library == "timm":
        keywords |= {"in_chans": how.channels} if how.channels != 3 else {}
        imports, call = "import timm", f'timm.create_model("{name.name}", {_arguments(keywords)})'
    else:
        keywords |= {"aux_logits": False} if name.name in {"googlenet", "inception_v3"} else {}
        imports = "import torchvision"
        call = f'torchvision.models.get_model("{name.name}", weights=None, {_arguments(keywords)})'
    classes = ascii(list(context.classes))
    if not context.classes:
        return _BACKBONE.format(imports=imports, build=call, prepare=_prepare(context).strip(), logits=logits)
    prepared = _prepare(context).strip()
    return _PLAIN.format(imports=imports, classes=classes, build=call, prepare=prepared, logits=logits)


def _transformers(context: Context, family: str) -> tuple[str, str]:
    """The import, and the call that builds the network."""
    configuration, network = named(family)
    channels, options = context.preprocessing.channels, context.architecture.options
    arguments = _arguments(configured(family, len(context.classes), channels, options))
    imports = f"from transformers import {', '.join(sorted((configuration, network)))}"
    return imports, f"{network}({configuration}({arguments}))"


def _arguments(keywords: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())


# Of small test images of one size that are not larger than the input, evaluation showed all, whatever their shape.
_WHOLE = """    if (image.height, image.width) == {native}:
        w, h = image.width, image.height
"""


def centred(context: Context, whose: str) -> str:
    """The beginning of `prepare(path)`: `image` is what evaluation showed of the picture, in the input's shape."""
    how, native = context.preprocessing, context.native
    whole = native is not None and not (native[0] > how.size[0] and native[1] > how.size[1])
    return _CENTRE.format(
        whose=whose, channels=how.channels, height=how.size[0], width=how.size[1],
        mode=how.mode, resampling=how.interpolation.upper(), crop=how.crop,
        whole=_WHOLE.format(native=native) if whole else "",
    )  # fmt: skip


def _prepare(context: Context) -> str:
    how = context.preprocessing
    shape = {"channels": how.channels, "height": how.size[0], "width": how.size[1]}
    return centred(context, "network's") + _NORMALISED.format(mean=list(how.mean), std=list(how.std), **shape)
