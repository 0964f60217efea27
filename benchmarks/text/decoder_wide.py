"""Perplexity and next-token accuracy of the finished models of `benchmarks.text.decoder` on more test items than its
jobs had time for: the jobs' own code (`distill.evaluate.predictions`) on so many of test.jsonl, evenly spaced.

    python -m benchmarks.text.decoder_wide --folder study --items 200
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from distill.evaluate import predictions
from distill.modalities.text import TextLoader, open_text, tokenise
from distill.models.language import Tokens, load, open_folder
from distill.training.mode import Mode
from distill.types import DatasetInput

BATCH = 16


def measure(model: Path, data: Any, items: int, max_length: int, precision: str) -> dict[str, Any]:
    """`perplexity` and `accuracy` over `tokens` tokens of the answers of `items` items."""
    with TemporaryDirectory() as scratch:
        folder = open_folder(model, Path(scratch))
        module, _ = load(folder, "generate", ())
        config: Any = module.config
        tokens = Tokens.load(folder, config)
    made = tokenise(data.test.pairs, data.test.labels, tokens, max_length, generate=True)
    picked = _spread(len(made), items)
    loader = TextLoader(made, picked, BATCH, tokens.pad, max_length, shuffle=False, drop_last=False)
    found = predictions(module, loader, torch.device("cpu"), Mode(precision))
    share = float(found.correct.double().mean())
    return {"perplexity": math.exp(found.loss), "accuracy": share, "tokens": len(found.labels), "items": len(picked)}


def _spread(count: int, wanted: int) -> torch.Tensor:
    """`wanted` positions, evenly spaced: the file is sorted by class."""
    return torch.linspace(0, count - 1, min(wanted, count)).round().long().unique()


def models(folder: Path) -> dict[str, Path]:
    """Name -> folder or zip of every model that is there."""
    found = {"zero-shot": folder / "smollm2", "teacher": folder / "teacher" / "artifacts" / "student.zip"}
    return found | {path.parent.parent.name: path for path in sorted(folder.glob("*-[0-9]/artifacts/student.zip"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("retort-data/decoder"))
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--max-length", type=int, default=96)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--models", nargs="*", help="their names; default: all")
    arguments = parser.parse_args()
    files = {split: str(arguments.folder / f"{split}.jsonl") for split in ("train", "test")}
    data = open_text(DatasetInput(kind="text", name="BBC News headlines", files=files))
    path = arguments.folder / f"wide-{arguments.items}-{arguments.precision}.json"
    done: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for name, model in models(arguments.folder).items():
        if name not in done and name in (arguments.models or [name]):
            done[name] = measure(model, data, arguments.items, arguments.max_length, arguments.precision)
            path.write_text(json.dumps(done, indent=1))
            print(name, done[name], flush=True)


if __name__ == "__main__":
    main()
