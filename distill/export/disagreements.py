"""The test samples on which student and teacher differ most: `disagreements.json`, and of pictures a sheet of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from distill.disagreement import Look
from distill.export._base import Artifact, Context, Skipped, write_text

SCHEMA, MOST = 1, 100
JSON, SHEET = "disagreements.json", "disagreements.webp"
SIDE, LINE = 192, 1536
"""Pixels that a picture on the sheet is high, and a row of them wide, at most."""
_QUALITY = 80
_TEXT = 2000  # characters of a text that are kept


def export(context: Context, folder: Path) -> list[Artifact]:
    if context.apart is None:
        raise Skipped("there is no teacher that answers as the student does, sample by sample")
    found = context.apart
    places = found.ranked(MOST)
    looks = found.look(places) if places else []
    drawn = _sheet(looks, folder / SHEET)
    tiles = [None] * len(looks) if drawn is None else drawn[1]
    told = {
        "schema": SCHEMA,
        "task": context.report["task"],
        "measure": found.measure,
        "definition": found.definition,
        "samples": len(found.scores),
        "agreeing": int((found.scores == 0).sum()),
        "sheet": None if drawn is None else {"name": SHEET, "width": drawn[0][0], "height": drawn[0][1]},
        "items": [
            {"rank": rank, "sample": int(found.samples[place]), "score": float(found.scores[place]), "tile": tile}
            | _cut(look.told)
            for rank, (place, look, tile) in enumerate(zip(places, looks, tiles, strict=True), 1)
        ],
    }
    text = write_text(folder, JSON, json.dumps(told, allow_nan=False) + "\n", "application/json")
    return [text] if drawn is None else [text, Artifact(SHEET, folder / SHEET, "image/webp")]


def _cut(told: Any) -> Any:
    """Long texts keep their beginning."""
    if isinstance(told, dict):
        return {name: _cut(each) for name, each in told.items()}
    return f"{told[:_TEXT]} ..." if isinstance(told, str) and len(told) > _TEXT else told


def _sheet(looks: Sequence[Look], path: Path) -> tuple[tuple[int, int], list[dict[str, int]]] | None:
    """The sheet's size, and where on it each picture lies; None without pictures. Filled row by row."""
    pictures = [look.picture for look in looks if look.picture is not None]
    if not pictures:
        return None
    small = [_small(each) for each in pictures]
    tiles, x, y, height = list[dict[str, int]](), 0, 0, 0
    for each in small:
        if x and x + each.width > LINE:
            x, y, height = 0, y + height, 0
        tiles.append({"x": x, "y": y, "width": each.width, "height": each.height})
        x, height = x + each.width, max(height, each.height)
    size = max(tile["x"] + tile["width"] for tile in tiles), y + height
    sheet = Image.new("RGB", size, "white")
    for tile, each in zip(tiles, small, strict=True):
        sheet.paste(each, (tile["x"], tile["y"]))
    part = path.with_name("." + path.name)
    sheet.save(part, quality=_QUALITY)
    part.replace(path)
    return size, tiles


def _small(picture: Image.Image) -> Image.Image:
    """At most `SIDE` pixels high and `LINE` wide; small pictures as they are."""
    scale = min(1.0, SIDE / picture.height, LINE / picture.width)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)


ENTRY = export
