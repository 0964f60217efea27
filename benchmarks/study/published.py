"""A CIFAR ResNet that somebody else trained, as a teacher of ours.

The weights are those of https://github.com/akamaster/pytorch_resnet_cifar10 (BSD-2-Clause), which carries them in
`pretrained_models/`. They lie beside nothing of ours: clone that repository and name its folder.

    python -m benchmarks.study.published CLONE resnet56 OUT.safetensors

Its networks are those of He et al. 2016, section 4.2, as `retort:resnet20` to `retort:resnet56` are. One thing differs:
where a stage doubles its c channels, its shortcut puts them into the middle (c/2 zero channels before and after), ours
puts them first. So the channels of the later stages change places here, and the network's answers stay what they were.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from distill.models.save import save_tensors
from distill.types import Architecture

#: Name -> sha256 of the file, whose name ends in its first eight digits.
FILES = {"resnet20": "12fca82f", "resnet32": "d509ac18", "resnet44": "014dd654", "resnet56": "4bfd9763"}
STAGES = 3
#: The statistics that these networks were trained with (ImageNet's).
PREPROCESSING = {
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "size": [32, 32], "interpolation": "bilinear",
    "channels": 3, "crop": 1.0,
}  # fmt: skip


def converted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their state dict, (name -> tensor), under our names and in our order of channels."""
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    ours = {"stem.conv.weight": state["conv1.weight"], **_norm(state, "bn1", "stem.norm")}
    stream = torch.arange(state["conv1.weight"].shape[0])  # our channel -> theirs, of what the blocks add to
    for stage in range(STAGES):
        block = 0
        while f"layer{stage + 1}.{block}.conv1.weight" in state:
            theirs, mine = f"layer{stage + 1}.{block}", f"stages.{stage}.{block}"
            incoming, channels = stream, state[f"{theirs}.conv2.weight"].shape[0]
            if channels != len(stream):
                stream = _widened(stream, channels)
            ours[f"{mine}.conv1.weight"] = state[f"{theirs}.conv1.weight"][:, incoming]
            ours |= _norm(state, f"{theirs}.bn1", f"{mine}.norm1")
            ours[f"{mine}.conv2.weight"] = state[f"{theirs}.conv2.weight"][stream]
            ours |= _norm(state, f"{theirs}.bn2", f"{mine}.norm2", stream)
            block += 1
    return ours | {"head.weight": state["linear.weight"][:, stream], "head.bias": state["linear.bias"]}


def _widened(stream: Tensor, channels: int) -> Tensor:
    """Theirs pads (channels - c) / 2 on both sides; ours has the c channels first and the new ones after them."""
    before = (channels - len(stream)) // 2
    carried = stream + before
    new = torch.tensor([channel for channel in range(channels) if channel not in set(carried.tolist())])
    return torch.cat([carried, new])


def _norm(state: dict[str, Tensor], theirs: str, mine: str, order: Tensor | None = None) -> dict[str, Tensor]:
    parts = ("weight", "bias", "running_mean", "running_var")
    found = {part: state[f"{theirs}.{part}"] for part in parts}
    return {f"{mine}.{part}": value if order is None else value[order] for part, value in found.items()}


def teacher(clone: Path, name: str, out: Path) -> Path:
    """`out`, written from `clone`'s file of `name`. Raises `SystemExit` where that file is missing or another."""
    source = clone / "pretrained_models" / f"{name}-{FILES[name]}.th"
    if not source.exists():
        raise SystemExit(f"{source} is missing: clone github.com/akamaster/pytorch_resnet_cifar10 and name its folder.")
    if not hashlib.sha256(source.read_bytes()).hexdigest().startswith(FILES[name]):
        raise SystemExit(f"{source} is not the file that its name tells: its sha256 begins otherwise.")
    state = torch.load(source, map_location="cpu", weights_only=True)["state_dict"]
    told = {"architecture": Architecture(name=f"retort:{name}").model_dump_json()}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(converted(state), out, told | {"preprocessing": json.dumps(PREPROCESSING)})
    return out


if __name__ == "__main__":
    print(teacher(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
