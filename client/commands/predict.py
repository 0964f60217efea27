"""`retort predict` and `retort disagreements`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from client import render
from client.api import Retort
from client.predictions import Sample
from client.session import Session, command

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


@click.command()
@click.argument("job_id")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--teacher", is_flag=True, help="The job's teachers answer too.")
@click.option("--max-tokens", type=int, help="Of a student that writes: tokens of an answer, at most.")
@click.option("--temperature", type=float, help="Of one that writes: 0 takes the most probable token.")
@click.option("--seed", type=int, help="Of one that writes: of the draws.")
@command
def predict(
    session: Session, retort: Retort, job_id: str, inputs: tuple[str, ...], teacher: bool, max_tokens: int | None,
    temperature: float | None, seed: int | None,
) -> None:  # fmt: skip
    """Ask the finished student of a job: INPUTS are texts, or files of pictures."""
    how = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    found = retort.predict(job_id, [sample(each) for each in inputs], teacher=teacher, **how)
    session.show(found, lambda: _answers(inputs, found))


@click.command()
@click.argument("job_id")
@click.option("--most", type=click.IntRange(1), default=20, show_default=True, help="Samples that are shown.")
@command
def disagreements(session: Session, retort: Retort, job_id: str, most: int) -> None:
    """Test samples on which student and teacher of a job differ most."""
    found = [each for _, each in zip(range(most), retort.disagreements(job_id), strict=False)]
    session.show(found, lambda: _ranking(found))


def sample(given: str) -> Sample:
    """A file where there is one of this name, else a text. Raises `click.BadParameter` for the name of a picture that
    there is not: nobody means that as a text."""
    path = Path(given)
    try:
        if path.is_file():
            return path
    except OSError:  # longer than a name may be
        return given
    if path.suffix.lower() in PICTURES:
        raise click.BadParameter(f"there is no file {given!r}. Correct its path; a text has no ending of pictures.")
    return given


def _answers(inputs: tuple[str, ...], found: dict[str, Any]) -> Table:
    table = render.table("INPUT", "NETWORK", "ANSWER", "AGREEMENT")
    for given, item in zip(inputs, found["items"], strict=True):
        table.add_row(escape(given[:40]), "student", escape(said(item["student"])), "")
        for each in item["teachers"]:
            table.add_row("", each["network"], escape(said(each["answer"])), f"{each['agreement']:.2f}")
    for each in found["unable"]:
        table.add_row("", each["network"], each["reason"], "")
    return table


def _ranking(found: list[dict[str, Any]]) -> Table:
    table = render.table("RANK", "SAMPLE", "SCORE", "LABEL", "STUDENT", "TEACHER", "TEXT")
    for each in found:
        answers = (escape(said(each[name] or {})) for name in ("label", "student", "teacher"))
        shown = each["text"] or each["name"] or ""
        table.add_row(str(each["rank"]), str(each["sample"]), f"{each['score']:.4f}", *answers, escape(shown[:60]))
    return table


def said(answer: dict[str, Any]) -> str:
    """An answer in a few words."""
    if "probability" in answer:
        return f"{answer['label']} ({100 * answer['probability']:.1f} %)"
    if "labels" in answer:
        return ", ".join(answer["labels"]) or "nothing"
    if "boxes" in answer:
        least = answer.get("sure", 0)
        return ", ".join(each["label"] for each in answer["boxes"] if each["score"] >= least) or "nothing"
    if "classes" in answer:
        return ", ".join(f"{each['label']} {100 * each['share']:.0f} %" for each in answer["classes"][:5])
    if "features" in answer:
        return f"{len(answer['features'])} features"
    return str(answer.get("text", answer.get("label", "")))
