"""What the values of masks mean: classes by name, colour and value, and the value that stands for no class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from distill.data.labelled import bad_name
from distill.errors import InvalidDataset

Colour = tuple[int, int, int]
IGNORED = -100
"""The class of pixels without one, in arrays and tensors; what torch's losses leave out by default."""
IGNORE = 255
"""The value of such pixels in mask files, unless a JSON file of classes says another."""
VOID = frozenset({"void", "ignore", "ignored", "unlabelled", "unlabeled", "don't care", "dontcare"})
MOST_CLASSES = 1024
REMEDY = (
    "Name the classes in a file beside the folders: classes.txt (a name a line, the first is value 0), "
    "label_colors.txt (`red green blue name` a line), or classes.json "
    '({"classes": [{"name": ..., "value": ..., "color": [r, g, b]}], "ignore": 255}).'
)


def refuse(what: str, remedy: str = REMEDY, **details: object) -> NoReturn:
    raise InvalidDataset(f"The masks were refused: {what}.", remedy, details)


@dataclass(frozen=True, slots=True)
class Named:
    """One entry of a file of classes; `value` None: its place in the list."""

    name: str
    value: int | None = None
    colour: Colour | None = None


@dataclass(frozen=True, slots=True)
class Legend:
    """`values`: grey value (or palette index) -> class; `colours`: packed RGB -> class; `IGNORED` for pixels without a
    class. `palette`: a colour a class, None where no file says one. `given`: whether a file named the classes.
    `by_colour`: whether palette masks are read by their palette's colours, not by their numbers."""

    classes: tuple[str, ...]
    values: Mapping[int, int]
    colours: Mapping[int, int] = field(default_factory=dict)
    palette: tuple[Colour | None, ...] = ()
    given: bool = False
    notes: tuple[str, ...] = ()
    by_colour: bool = False

    def numbers(self, found: NDArray[np.int32], coloured: bool, name: str = "a mask") -> NDArray[np.int16]:
        """Values (h, w) of a mask -> classes, `IGNORED` where there is none. Raises `InvalidDataset` for values that
        are none of the classes."""
        known = self.colours if coloured else self.values
        keys = np.array(sorted(known), np.int32)
        if not len(keys):
            refuse(f"{name} is coloured and no file says what the colours mean", mask=name)
        places = np.searchsorted(keys, found).clip(max=len(keys) - 1)
        if (foreign := keys[places] != found).any():
            refuse_values(name, found[foreign], coloured, self)
        classes: NDArray[np.int16] = np.array([known[key] for key in keys.tolist()], np.int16)[places]
        return classes

    def by_palette(self, values: NDArray[np.int32], colours: NDArray[np.int32]) -> list[int | None]:
        """The classes of a palette mask's numbers by their packed colours; None where a colour is no class. A number
        that stands for no class needs no colour (VOC's 255)."""
        ignored = {value for value, number in self.values.items() if number == IGNORED}
        pairs = zip(values.tolist(), colours.tolist(), strict=True)
        return [self.colours.get(colour, IGNORED if value in ignored else None) for value, colour in pairs]

    def coloured(self) -> tuple[Colour, ...]:
        """A colour for every class: the dataset's own, else that of PASCAL VOC's colour map, whose black is left to a
        background (class `background` or `0`)."""
        own = self.palette or (None,) * len(self.classes)
        first = 0 if self.classes[0].lower() in ("background", "0") else 1
        return tuple(colour or voc_colour(first + i) for i, colour in enumerate(own))


def refuse_values(name: str, foreign: NDArray[np.int32], coloured: bool, legend: Legend) -> NoReturn:
    """Name the values of a mask that are none of the classes, with how many pixels have them."""
    values, counts = np.unique(foreign, return_counts=True)
    shown = ", ".join(f"{_shown(v, coloured)} ({c} pixels)" for v, c in list(zip(values, counts, strict=True))[:3])
    kind = "colours" if coloured else "values"
    known = f"{len(legend.classes)} classes" if legend.given else f"values 0 to {len(legend.classes) - 1}"
    refuse(f"{name} has {kind} that are none of the {known}: {shown}", mask=name, values=values[:20].tolist())


def _shown(value: int, coloured: bool) -> str:
    return str(unpacked(value)) if coloured else str(value)


def packed(colour: Iterable[int]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def unpacked(value: int) -> Colour:
    return (int(value) >> 16 & 255, int(value) >> 8 & 255, int(value) & 255)


def voc_colour(number: int) -> Colour:
    """Colour `number` of PASCAL VOC's map: the bits of the number, dealt to red, green and blue in turn."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return (channels[0], channels[1], channels[2])


def legend_of(entries: Sequence[Named], ignore: Sequence[int] = (IGNORE,), source: str = "the file") -> Legend:
    """The legend of a file of classes. Entries called void, ignore, unlabelled and the like stand for pixels without a
    class (**our choice**) and are named in the notes. Raises `InvalidDataset`."""
    values: dict[int, int] = {}
    colours: dict[int, int] = {}
    kept, unlabelled = list[Named](), list[str]()
    for place, entry in enumerate(entries):
        number = IGNORED if entry.name.lower() in VOID else len(kept)
        (unlabelled if number == IGNORED else kept).append(entry.name if number == IGNORED else entry)  # type: ignore[arg-type]
        _put(values, place if entry.value is None else entry.value, number, entry.name, source)
        if entry.colour is not None:
            _put(colours, packed(entry.colour), number, entry.name, source)
    values |= {value: IGNORED for value in ignore if value not in values}
    names = tuple(entry.name for entry in kept)
    _check_names(names, source)
    notes = [f"Pixels of {name!r} count as without a class." for name in unlabelled]
    return Legend(names, values, colours, tuple(entry.colour for entry in kept), True, tuple(notes))


def _put(known: dict[int, int], key: int, number: int, name: str, source: str) -> None:
    if key in known:
        refuse(f"{source} gives {name!r} a value or a colour that another class has", file=source)
    known[key] = number


def _check_names(names: tuple[str, ...], source: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(names) <= MOST_CLASSES else []
    if twice:
        refuse(f"{source} names a class twice ({twice[0]!r})", file=source)
    for name in names:
        if why := bad_name(name):
            refuse(f"a class that {source} names {why}", file=source)
    check_count(len(names))


def check_count(count: int) -> None:
    if count < 2:
        refuse(f"they have {count} classes, and it takes 2" if count else "they have no class")
    if count > MOST_CLASSES:
        refuse(f"they have {count:,} classes, more than {MOST_CLASSES:,}", classes=count)


def unnamed(values: Iterable[int]) -> Legend:
    """The legend of masks that no file explains: value v is class v, 255 none. Masks that hold nothing but 0 and 255
    have a background and a foreground (**our choice**, said in a note). Raises `InvalidDataset` where more values are
    missing between 0 and the highest than are there: then the values are no class numbers."""
    found = sorted(set(values))
    if found == [0, IGNORE]:
        note = "The masks hold 0 and 255 alone: read as background and foreground."
        return Legend(("background", "foreground"), {0: 0, IGNORE: 1}, notes=(note,))
    classes = [value for value in found if value != IGNORE]
    if not classes:
        refuse(
            "they hold no labelled pixel, only the value 255", "Label pixels: 255 stands for a pixel without a class."
        )
    count = classes[-1] + 1
    if count > 2 * len(classes):
        shown = ", ".join(map(str, classes[:8]))
        refuse(f"their values ({shown}) do not count the classes from 0, and no file names them", values=classes[:50])
    check_count(count)
    return Legend(tuple(map(str, range(count))), {value: value for value in range(count)} | {IGNORE: IGNORED})


def with_palette(legend: Legend, palette: Sequence[Colour] | None) -> Legend:
    """The legend with the colours of palette masks, where no file says them."""
    if palette is None or any(legend.palette):
        return legend
    by_class = {number: palette[v] for v, number in sorted(legend.values.items()) if 0 <= v < len(palette)}
    return replace(legend, palette=tuple(by_class.get(i) for i in range(len(legend.classes))))
