"""Published protocols by one word: a preset fills the settings that a job leaves out. Torch-free.

A job's own value wins, and the reasons of its resolved configuration name it. A preset names no recipe's parameters and
nothing of the data: validation samples are held out as ever, where the published code trains on all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from distill.errors import UnknownName


@dataclass(frozen=True, slots=True)
class Preset:
    """`summary`: one sentence; `source`: where the values are published; `settings`: fields of `DistillConfig`."""

    summary: str
    source: str
    settings: Mapping[str, Any]


PRESETS: Mapping[str, Preset] = MappingProxyType({
    "crd": Preset(
        "The CIFAR protocol of CRD and of most methods compared with it: SGD, 240 epochs, three steps, crop and flip.",
        "Tian et al., ICLR 2020; defaults of HobbitLong/RepDistiller",
        {
            "optimizer": "sgd", "momentum": 0.9, "nesterov": False, "learning_rate": "auto", "weight_decay": 5e-4,
            "schedule": "multi_step", "milestones": "auto", "gamma": 0.1, "warmup_fraction": 0.0,
            "epochs": 240, "batch_size": 64, "augmentation": "crop_flip",
        },
    ),
    "feature_only": Preset(
        "The protocol that feature_only was published with: AdamW, one cycle, 50 epochs, no augmentation, top Q.",
        "arXiv 2511.14981; defaults of Thegolfingocto/KDwoCE",
        {
            "recipe": "feature_only", "selection": "top_q", "optimizer": "adamw", "learning_rate": "auto",
            "weight_decay": 0.01, "schedule": "one_cycle", "warmup_fraction": 0.3, "epochs": 50, "batch_size": 128,
            "augmentation": "none",
        },
    ),
})  # fmt: skip
"""`crd`: the rate and the milestones are `auto`, whose rules are this protocol (`distill.training.peak`): 0.05, or 0.01
with depthwise convolutions, for batches of 64; steps after 150, 180 and 210 of 240 epochs."""


def sets(name: str | None, field: str, value: Any) -> bool:
    """Whether the preset gives the field this value."""
    preset = PRESETS.get(str(name))
    return preset is not None and field in preset.settings and preset.settings[field] == value


def check(name: str | None) -> None:
    """Raise `UnknownName`, with the list, for a name that no preset has."""
    if name is not None and name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)


def fill(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration with those that it leaves out as its preset has them."""
    preset = PRESETS.get(str(given.get("preset")))
    return {**(preset.settings if preset else {}), **given}


def change(before: Mapping[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What `given` changes of the whole configuration `before`, when it names another preset: that preset's values too,
    and the default in place of what the preset of `before` had filled and the new one leaves alone."""
    new, old = PRESETS.get(str(given.get("preset"))), PRESETS.get(str(before.get("preset")))
    if new is None or new is old:
        return dict(given)
    filled = {name for name, value in (old.settings.items() if old else ()) if before.get(name) == value}
    return {name: defaults[name] for name in filled} | dict(new.settings) | dict(given)


def reasons(name: str | None, config: Mapping[str, Any]) -> dict[str, str]:
    """Whose value each of the preset's fields has, by field."""
    preset = PRESETS.get(str(name))
    return {} if preset is None else {
        field: f"preset {name}" if config[field] == value else f"given; preset {name} has {_shown(value)}"
        for field, value in preset.settings.items()
    }  # fmt: skip


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
