"""A class-stratified part of a parquet dataset: python -m benchmarks.study.subset train.parquet 10000 out.parquet.

So that each cell of a study opens the images that it uses and no others; seed 0, schema and class names as they were.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq
import torch

from distill.data.splits import stratified_sample


def main(source: Path, count: int, target: Path) -> None:
    """`count` rows in their order, the same number of every class."""
    table = pq.read_table(source)
    labels = torch.tensor(table["label"].to_pylist())
    pq.write_table(table.take(sorted(stratified_sample(labels, count, 0).tolist())), target, compression="none")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
