"""`python -m tests.cluster.reads N NUMBER ... FOLDER`, in place of a host's launcher: reads the dataset that FOLDER
has as the one rank of its host, and leaves there which samples it saw."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from distill.modalities.images import Loader, open_dataset
from distill.modalities.images.preprocessing import Preprocessing
from distill.types import DatasetInput

EPOCHS, START, BATCH = 3, 5, 8
SEEN = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), (16, 16), "bicubic", 3)

if __name__ == "__main__":
    number, hosts, folder = int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[-1])
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # as a trainer that is shut in
    samples = open_dataset(DatasetInput.model_validate_json((folder / "spec.json").read_text())).train
    loader = Loader(
        samples, range(len(samples)), BATCH // hosts, SEEN, drop_last=False, workers=1, rank=number, world=hosts
    )
    epochs = [[batch.index.tolist() for batch in loader.epoch(epoch)] for epoch in range(EPOCHS)]
    rest = [batch.index.tolist() for batch in loader.epoch(EPOCHS - 1, start=START)]
    told = {"epochs": epochs, "rest": rest, "samples": len(samples)}
    (folder / f"seen-{number}").write_text(json.dumps(told))
