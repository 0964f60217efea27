"""`retort datasets`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from client import progress, render
from client.api import Retort
from client.commands.registered import Kind, add_commands
from client.naming import names_several
from client.session import Session, command, pairs

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Files(click.ParamType[Path]):
    """A path that is there, or braces or a `*` that name files."""

    name = "path"

    def convert(self, value: str | Path, param: click.Parameter | None, context: click.Context | None) -> Path:
        if not Path(value).exists() and not names_several(value):
            self.fail(f"There is no {value}.", param, context)
        return Path(value)


FILES = _Files()


@click.group()
def datasets() -> None:
    """Samples to distil on, of one task each."""


@datasets.command("add")
@click.argument("file", nargs=-1, type=FILES)
@click.option("--train", multiple=True, type=FILES, help="The training part, instead of FILE. May be repeated.")
@click.option("--test", multiple=True, type=FILES, help="The test part, beside --train. May be repeated.")
@click.option(
    "--unlabelled", multiple=True, type=FILES, help="Images without labels, beside the others or alone. May be "
    "repeated.",
)  # fmt: skip
@click.option("--named", help="A data set that the service knows, e.g. fashion-mnist.")
@click.option("--url", help="https://, s3:// or hf:// URL that the service fetches itself.")
@click.option(
    "--shards", multiple=True, metavar="URL",
    help="Tars or parquet that stay where they lie: https://host/{000..127}.tar, s3://bucket/folder/*.tar, a list; or "
    "train=URL and test=URL. May be repeated.",
)  # fmt: skip
@click.option(
    "--classes", type=FILE, help="Of --shards and of tars: what numbers of labels mean, a name a line, class 0 first."
)
@click.option(
    "--classes-from", type=click.Choice(["shards", "none"]),
    help="Of --shards and tars whose images have no label files: each shard is a class; or folders are no classes.",
)  # fmt: skip
@click.option("--decode", type=click.Choice(["bounded", "all"]), help="Of --shards: images decoded at registration.")
@click.option("--inspection", type=click.Choice(["all", "sample"]), help="Of --shards: how many are read now.")
@click.option("--sha256", help="What the file at --url must have.")
@click.option("--task", default="", help="Of the catalogue's tasks; unless given, the files tell.")
@click.option(
    "--pixel-range",
    type=(int, int),
    metavar="LOW HIGH",
    help="Values of 16-bit grey that are black and white, as 0 4095 for 12 bits.",
)
@click.option(
    "--box-format",
    default="",
    metavar="FORMAT",
    help="Of boxes in a table or parquet: xyxy, xywh or cxcywh, with _absolute or _relative; unless given, it tells.",
)
@click.option("--name", default="", help="Your name for it.")
@click.option("--label", "labels", multiple=True, callback=pairs, help="name=value; may be repeated.")
@command
def add(  # noqa: PLR0913 - click: one each option
    session: Session,
    retort: Retort,
    file: tuple[Path, ...],
    train: tuple[Path, ...],
    test: tuple[Path, ...],
    unlabelled: tuple[Path, ...],
    named: str | None,
    url: str | None,
    shards: tuple[str, ...],
    classes: Path | None,
    classes_from: str | None,
    decode: str | None,
    inspection: str | None,
    sha256: str | None,
    name: str,
    labels: dict[str, str],
    task: str,
    pixel_range: tuple[int, int] | None,
    box_format: str,
) -> None:
    """Register a FILE (retort catalogue tasks says which), a folder of images or with tables train.* and test.*, a
    named set, a URL, or shards that stay where they lie. Several FILEs, or 'photos-{000..127}.tar' or 'photos-*.tar' in
    quotes, are the shards of one dataset: tars or parquet."""
    given = sum(map(bool, (file, train, named is not None, url is not None, shards)))
    if given > 1 or (not given and not unlabelled):
        raise click.UsageError(
            "Give one of FILE, --train (with --test), --named, --url and --shards; or --unlabelled alone."
        )
    if unlabelled and (named is not None or url is not None or shards):
        raise click.UsageError("--unlabelled goes with FILE or --train, or alone.")
    if shards and (pixel_range is not None or box_format):
        raise click.UsageError("--pixel-range and --box-format are for files that the service keeps.")
    if (decode or inspection) and not shards:
        raise click.UsageError("--decode and --inspection go with --shards.")
    if (classes is not None or classes_from) and (named is not None or url is not None):
        raise click.UsageError("--classes and --classes-from go with --shards, or with tars that are sent.")
    names = classes.read_text(encoding="utf-8").splitlines() if classes else None
    if named is not None and pixel_range is not None:
        raise click.UsageError("--pixel-range is for files of 16-bit images; named sets have 8 bits.")
    if named is not None and box_format:
        raise click.UsageError("--box-format is for files with boxes; named sets say it themselves.")
    if named is not None:
        made = retort.named_dataset(named, labels, task)
    elif shards:
        made = retort.streamed_dataset(
            **_by_role(shards), classes=names, classes_from=classes_from or "", decode=decode or "",
            inspection=inspection or "", name=name, labels=labels, task=task,
        )  # fmt: skip
    elif url is not None:
        made = retort.fetched_dataset(url, sha256, name, labels, task, pixel_range, box_format)
    else:
        with progress.bar(Console(stderr=True), "sending") as show:
            made = retort.add_dataset(
                file or None, train=train or None, test=test or None, unlabelled=unlabelled or None, name=name,
                task=task, labels=labels, progress=show,
                pixel_range=pixel_range, box_format=box_format, classes=names, classes_from=classes_from or "",
            )  # fmt: skip
    session.show(made, lambda: render.details(dict(made)))


@datasets.command("inspect")
@click.argument("dataset_id")
@command
def inspect(session: Session, retort: Retort, dataset_id: str) -> None:
    """Have the rest read of a dataset of which a sample was read (--inspection sample)."""
    made = retort.inspect_dataset(dataset_id)
    session.show(made, lambda: render.details(dict(made)))


def _by_role(given: tuple[str, ...]) -> dict[str, list[str]]:
    """`train=URL` and `test=URL`, or URLs of the whole."""
    found: dict[str, list[str]] = {}
    for each in given:
        role, _, url = each.partition("=")
        role, url = (role, url) if role in ("train", "test") else ("shards", each)
        found.setdefault(role, []).append(url)
    return found


add_commands(
    datasets, Kind("dataset", "files", Retort.datasets, Retort.dataset, Retort.delete_dataset, render.datasets)
)
