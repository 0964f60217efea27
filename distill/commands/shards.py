"""`retort shards`: read all shards of a dataset once, say what they hold, and write their index."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from distill.commands.failure import Failed
from distill.commands.study import parse_dataset
from distill.data.limits import DEFAULT
from distill.errors import InvalidConfig, RetortError
from distill.modalities.images.described import decoding_all, thorough
from distill.modalities.images.shards.listing import ENDING
from distill.types import ClassesFrom


@click.command()
@click.option(
    "--dataset", "datasets", multiple=True, required=True,
    help="Shards by braces ({000000..001281}.tar), a list, a folder or an address; or role=shards (train, test).",
)  # fmt: skip
@click.option(
    "--index", "path", type=click.Path(path_type=Path), help=f"Where to write the index; its name ends on {ENDING}."
)
@click.option(
    "--classes-from", type=click.Choice(["shards", "none"]),
    help="Where images have no label files: each shard is a class; or folders are no classes.",
)  # fmt: skip
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="That read side by side.")
@click.option("--decode", type=click.Choice(["some", "all"]), default="some", show_default=True, help="Images.")
def shards(
    datasets: tuple[str, ...], path: Path | None, classes_from: ClassesFrom | None, processes: int, decode: str
) -> None:
    """Look at sharded images once, and write the index that jobs trust (`--dataset FILE.shards`).

    Every shard is read whole. Of their images some are decoded, and of the others the heads are read; `--decode all`
    decodes all of them. Prints the report as JSON.
    """
    try:
        click.echo(
            json.dumps(_registered(datasets, path, classes_from, processes, decode), indent=2, ensure_ascii=False)
        )
    except RetortError as error:
        raise Failed(error) from error


def _registered(
    datasets: tuple[str, ...], path: Path | None, classes_from: ClassesFrom | None, processes: int, decode: str
) -> dict[str, Any]:
    from distill.modalities.images.kinds.shards import index_of
    from distill.modalities.images.report import inspect
    from distill.modalities.images.shards.index import write

    dataset = parse_dataset(datasets).model_copy(update={"classes_from": classes_from or ""})
    if dataset.kind != "shards":
        raise InvalidConfig(f"{datasets[0]!r} names no shards.", "Name tars or parquet by braces, list or folder.")
    if path is not None and path.suffix != ENDING:
        raise InvalidConfig(f"An index is called *{ENDING}.", f"Write --index {path.with_suffix(ENDING)}.")
    limits = decoding_all(DEFAULT) if decode == "all" else thorough(DEFAULT)
    index = index_of(dataset, limits, None, processes)
    with TemporaryDirectory() as folder:
        written = path or Path(folder) / f"index{ENDING}"
        write(index, written)
        report = inspect(dataset.model_copy(update={"files": {"index": str(written)}})).to_dict()
    manifest = {"digest": index.digest, "shards": [asdict(shard) for shard in index.shards]}
    return report | {"manifest": manifest}
