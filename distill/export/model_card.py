"""A README for the student, with a snippet that loads it, in plain timm or torchvision where that is possible."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from distill.export._base import Artifact, Context, pictures, write_text
from distill.models.names import resolve

_PREPARE = '''
def prepare(path):
    """An image file as the network's input, (1, {channels}, {height}, {width})."""
    image = Image.open(path).convert("{mode}").resize(({width}, {height}), Image.Resampling.{resampling})
    pixels = torch.from_numpy(np.array(image)).reshape({height}, {width}, {channels}).permute(2, 0, 1) / 255
    mean, std = torch.tensor({mean}), torch.tensor({std})
    return ((pixels - mean[:, None, None]) / std[:, None, None])[None]
'''

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
    print(classes[model(prepare("image.png")).argmax(1).item()])
"""

_OURS = """from distill.student import load_student

student = load_student("student.safetensors")
for prediction in student.predict(["image.png"]):
    print(prediction.label, prediction.probability)
"""


def snippet(context: Context) -> str:
    """Python that loads `student.safetensors` and classifies `image.png`, both in the working directory."""
    name = resolve(context.architecture.name)
    how = pictures(context)
    if name.library == "retort" or (name.library == "torchvision" and how.channels != 3):
        return _OURS
    keywords = {"num_classes": len(context.classes)} | dict(context.architecture.options)
    if name.library == "timm":
        keywords |= {"in_chans": how.channels} if how.channels != 3 else {}
        imports, call = "import timm", f'timm.create_model("{name.name}", {_arguments(keywords)})'
    else:
        keywords |= {"aux_logits": False} if name.name in {"googlenet", "inception_v3"} else {}
        imports = "import torchvision"
        call = f'torchvision.models.get_model("{name.name}", weights=None, {_arguments(keywords)})'
    classes = json.dumps(list(context.classes), ensure_ascii=True)
    return _PLAIN.format(imports=imports, classes=classes, build=call, prepare=_prepare(context).strip())


def _arguments(keywords: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in keywords.items())


def _prepare(context: Context) -> str:
    how = pictures(context)
    return _PREPARE.format(
        channels=how.channels, height=how.size[0], width=how.size[1], mode="L" if how.channels == 1 else "RGB",
        resampling=how.interpolation.upper(), mean=list(how.mean), std=list(how.std),
    )  # fmt: skip


def export(context: Context, folder: Path) -> list[Artifact]:
    if context.tokens is not None:
        from distill.export._language import card  # transformers is an optional part

        return card(context, folder)
    report, how = context.report, pictures(context)
    student = report["student"]
    share = student["accuracy"]
    name, recipe = context.architecture.name, report["recipe"]
    interval = f"95 % interval {100 * share['low']:.2f} to {100 * share['high']:.2f}, n = {share['n']}"
    text = f"""# {name}, {recipe}

An image classifier of {student["parameters"]:,} parameters for {len(context.classes)} classes, trained by Retort with
the recipe `{recipe}` on {report["dataset"]["name"]}. Test accuracy {100 * share["value"]:.2f} % ({interval}).
{report["verdict"]["text"]}

## Use

```python
{snippet(context)}```

Input: {how.channels} channels, {how.size[0]} x {how.size[1]} pixels, values / 255, less mean {list(how.mean)}, divided
by std {list(how.std)}; {how.interpolation} resizing. `student.json` has the same, machine-readable; so has the header
of `student.safetensors`. `report.md` compares the student with its teacher and says how it was trained.

## Classes

{", ".join(context.classes)}
"""
    return [write_text(folder, "README.md", text, "text/markdown")]


ENTRY = export
