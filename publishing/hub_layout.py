"""A student's files as the hub's libraries read them: `config.json` and `model.safetensors` at the top.

| student | library | what makes it so |
|---|---|---|
| of a timm architecture | timm | `config.json` made from `student.json`; `model.safetensors` is the delivered file |
| a language model | transformers | `student.zip` unpacked |
| any other | none of the hub's | the files as they were delivered; the card says how to load them |
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from distill import tasks
from publishing.bundle import CARD, DESCRIBED, FOLDER, WEIGHTS, Bundle
from publishing.card import card
from publishing.licences import Licence

CONFIG, MODEL = "config.json", "model.safetensors"


def lay_out(bundle: Bundle, repository: str, folder: Path, licences: Sequence[Licence] = ()) -> Path:
    """Write what is committed into `folder`; it holds nothing else then."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in bundle.files:
        if file.name not in (CARD, FOLDER):
            _link(bundle.path(file.name), folder / file.name)
    told = described(bundle)
    library = _library(bundle, told, folder)
    (folder / CARD).write_text(card(bundle, repository, library, _pipeline(bundle.task), licences), encoding="utf-8")
    return folder


def described(bundle: Bundle) -> dict[str, Any]:
    """What `student.json` says of the student; {} where there is none."""
    if not bundle.has(DESCRIBED):
        return {}
    told: dict[str, Any] = json.loads(bundle.path(DESCRIBED).read_text(encoding="utf-8"))
    return told


def _pipeline(task: str) -> str | None:
    """What the hub calls students of a task; None of a task that is not here."""
    return tasks.spec(task).pipeline or None if task in tasks.names() else None


def _library(bundle: Bundle, told: dict[str, Any], folder: Path) -> str | None:
    """Lay the weights out; the library that reads them."""
    if bundle.has(FOLDER):
        unpack(bundle.path(FOLDER), folder)
        return "transformers"
    name = str(told.get("architecture", {}).get("name", ""))
    if name.startswith("timm:") and bundle.task in ("classify_images", "tag_images") and bundle.has(WEIGHTS):
        _link(bundle.path(WEIGHTS), folder / MODEL)
        (folder / CONFIG).write_text(json.dumps(timm_config(told), indent=2) + "\n", encoding="utf-8")
        return "timm"
    return None


def timm_config(told: dict[str, Any]) -> dict[str, Any]:
    """`config.json` as `timm.create_model("hf-hub:owner/name", pretrained=True)` reads it."""
    how, classes = told["preprocessing"], told["classes"]
    channels, options = how["channels"], told["architecture"]["options"]
    seen = {
        "input_size": [channels, *how["size"]], "mean": how["mean"], "std": how["std"],
        "interpolation": how["interpolation"], "crop_pct": how["crop"], "num_classes": len(classes),
    }  # fmt: skip
    return {
        "architecture": told["architecture"]["name"].removeprefix("timm:"),
        "num_classes": len(classes),
        "label_names": classes,
        "model_args": options | ({"in_chans": channels} if channels != 3 else {}),
        "pretrained_cfg": seen,
    }


def unpack(path: Path, folder: Path) -> None:
    """The zip's files, wherever they lie in it, at the folder's top. It was written here, so its names are plain."""
    with zipfile.ZipFile(path) as packed:
        for entry in packed.infolist():
            name = PurePosixPath(entry.filename).name
            if not entry.is_dir() and not (folder / name).exists():
                with packed.open(entry) as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.hardlink_to(source)
