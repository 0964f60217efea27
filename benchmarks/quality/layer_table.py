"""Write docs/layers.md: what discovery finds in every family.  python -m benchmarks.quality.layer_table"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path

from benchmarks.quality.families import NAMES, build
from distill.layers import Layer, discover

TARGET = Path("docs/layers.md")
HEAD = """# Layers that discovery finds

Written by `python -m benchmarks.quality.layer_table` with random weights (timm {timm}, torchvision {torchvision}); the
rules are in the docstring of `distill.layers.discover`. Every row is also a test (`tests/layers/test_families.py`).

The numbers are those of arXiv 2511.14981 and its code: ResNet-34 has 0 stem, 1-16 blocks, 17 pooled; VGG-19 0-15
activations, 16 flattened, 17-18 fully connected; MobileNetV2 0 stem, 1-17 blocks, 18 last activation, 19 pooled; ViT-B
0 patch input, 1-12 blocks. What the source calls flattened is here `pooled` where pooling makes the vector. Rules that
choose layers see it in every network alike; a student's layers end at the deepest block before it.

| Network | Image side | Layers | Kinds | First | Last |
|---|---:|---:|---|---|---|
"""


def row(name: str) -> str:
    model, images = build(name)
    layers = discover(model, images)
    first, last = (f"`{layer.name}` {_shape(layer)}" for layer in (layers[0], layers[-1]))
    return f"| `{name}` | {images.shape[-1]} | {len(layers)} | {_kinds(layers)} | {first} | {last} |\n"


def _kinds(layers: list[Layer]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in Counter(layer.kind for layer in layers).items())


def _shape(layer: Layer) -> str:
    return "x".join(map(str, layer.shape))


def main() -> None:
    head = HEAD.format(timm=version("timm"), torchvision=version("torchvision").partition("+")[0])
    TARGET.write_text(head + "".join(row(name) for name in NAMES), encoding="utf-8")


if __name__ == "__main__":
    main()
