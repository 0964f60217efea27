"""Files that name the classes of masks: classes.txt, label_colors.txt, labelmap.txt, class_dict.csv, _classes.csv,
JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from distill.tasks.segment_images.legend import IGNORE, Colour, Legend, Named, legend_of, refuse

MOST_BYTES = 2**20
_COLOURED = re.compile(r"^(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)$")
_NUMBERED = re.compile(r"^(\d{1,4})(?:\s*[:,]\s*|\s+)(\S.*)$")
_MAPPED = re.compile(r"^([^:]+):(\d{1,3}),(\d{1,3}),(\d{1,3}):.*$")
_HEX = re.compile(r"^#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})$")


def read_legend(name: str, data: bytes) -> Legend:
    """The legend in a file of one of the `READERS`' names. Raises `InvalidDataset`."""
    if len(data) > MOST_BYTES:
        refuse(f"{name} has {len(data):,} bytes, more than {MOST_BYTES:,}", file=name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        refuse(f"{name} is not UTF-8", file=name)
    return READERS[name.lower()](text, name)


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _names(text: str, source: str) -> Legend:
    """A name a line; the numbers 0, 1, 2 ... before the names, where every line has them, are dropped."""
    lines = _lines(text)
    numbered = [_NUMBERED.match(line) for line in lines]
    if lines and all(match and int(match[1]) == place for place, match in enumerate(numbered)):
        lines = [match[2] for match in numbered if match]
    return legend_of([Named(line) for line in lines], source=source)


def _colours(text: str, source: str) -> Legend:
    """`red green blue name` a line, as CamVid's label_colors.txt has it."""
    entries = []
    for number, line in enumerate(_lines(text), 1):
        match = _COLOURED.match(line)
        if match is None:
            refuse(f"line {number} of {source} is not `red green blue name`: {line[:60]!r}", file=source, line=number)
        entries.append(Named(match[4], colour=_colour(match.groups()[:3], source)))
    return legend_of(entries, source=source)


def _map(text: str, source: str) -> Legend:
    """`name:red,green,blue::` a line, as CVAT exports labelmap.txt."""
    entries = []
    for number, line in enumerate(_lines(text), 1):
        match = _MAPPED.match(line)
        if match is None:
            refuse(f"line {number} of {source} is not `name:red,green,blue::`: {line[:60]!r}", file=source, line=number)
        entries.append(Named(match[1], colour=_colour(match.groups()[1:4], source)))
    return legend_of(entries, source=source)


def _table(text: str, source: str) -> Legend:
    """Columns name, r, g, b, as class_dict.csv has them; the line of their names may be missing."""
    entries = []
    rows = [[cell.strip() for cell in row] for row in csv.reader(_lines(text), skipinitialspace=True)]
    headed = bool(rows) and not any(cell.isdecimal() for cell in rows[0][1:])
    for number, cells in enumerate(rows[headed:], 1):
        if len(cells) != 4:
            row = ",".join(cells)[:60]
            refuse(f"row {number} of {source} is not `name,r,g,b`: {row!r}", file=source, row=number)
        entries.append(Named(cells[0], colour=_colour(cells[1:], source)))
    return legend_of(entries, source=source)


def _values(text: str, source: str) -> Legend:
    """Columns `Pixel Value` and `Class`, as Roboflow exports _classes.csv."""
    entries = []
    rows = [[cell.strip() for cell in row] for row in csv.reader(_lines(text), skipinitialspace=True)]
    for number, cells in enumerate(rows[1:], 2):
        if len(cells) != 2 or not (cells[0].isascii() and cells[0].isdecimal()):
            refuse(f"row {number} of {source} is not `value,class`: {','.join(cells)[:60]!r}", file=source, row=number)
        entries.append(Named(cells[1], value=_value(int(cells[0][:10]), source)))
    return legend_of(entries, source=source)


def _json(text: str, source: str) -> Legend:
    """A list of names; {value: name}; {name: colour}; or {"classes": [name or {name, value, color}], "ignore": value,
    list of values or null}."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(f"{source} is no JSON ({str(error)[:100]})", file=source)
    if isinstance(data, list):
        return legend_of([_entry(item, source) for item in data], source=source)
    if isinstance(data, dict) and isinstance(data.get("classes"), list):
        ignore = _ignored(data.get("ignore", IGNORE), source)
        return legend_of([_entry(item, source) for item in data["classes"]], ignore, source)
    if not isinstance(data, dict) or not data:
        refuse(f"{source} holds neither a list of classes nor an object", file=source)
    return legend_of([_pair(*item, source) for item in data.items()], source=source)


def _entry(item: Any, source: str) -> Named:
    if isinstance(item, str):
        return Named(item)
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        refuse(f"{source} has a class that is neither a name nor an object with `name`: {str(item)[:60]}", file=source)
    colour = item.get("color", item.get("colour"))
    colour = None if colour is None else _colour(colour, source)
    return Named(item["name"], _value(item.get("value"), source), colour)


def _pair(key: str, item: Any, source: str) -> Named:
    if isinstance(item, str) and key.isascii() and key.isdecimal():
        return Named(item, _value(int(key[:10]), source))
    return Named(key, colour=_colour(item, source))


def _value(value: Any, source: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        refuse(f"{source} has a value that no 16-bit mask has: {str(value)[:40]}", file=source)
    return value


def _ignored(value: Any, source: str) -> list[int]:
    found = value if isinstance(value, list) else [] if value is None else [value]
    return [number for number in (_value(item, source) for item in found) if number is not None]


def _colour(value: Any, source: str) -> Colour:
    if isinstance(value, str) and (match := _HEX.match(value)):
        red, green, blue = (int(part, 16) for part in match.groups())
        return (red, green, blue)
    channels = list(value) if isinstance(value, list | tuple) else []
    plain = [int(c) for c in channels if isinstance(c, int | str) and not isinstance(c, bool) and str(c).isdecimal()]
    if len(plain) != 3 or len(channels) not in (3, 4) or max(plain) > 255:
        refuse(f"{source} has a colour that is not three numbers from 0 to 255: {str(value)[:60]}", file=source)
    return (plain[0], plain[1], plain[2])


READERS: Mapping[str, Callable[[str, str], Legend]] = {
    "classes.json": _json,
    "labels.json": _json,
    "id2label.json": _json,
    "label_colors.json": _json,
    "label_colors.txt": _colours,
    "labelmap.txt": _map,
    "class_dict.csv": _table,
    "_classes.csv": _values,
    "classes.txt": _names,
    "labels.txt": _names,
}
"""Names of the files, the one that says most first: where several are there, the first counts."""
