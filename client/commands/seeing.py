"""Options that say how a teacher sees pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

FIELDS = ("mean", "std", "input_size", "interpolation", "crop_pct", "channel_order")


def preprocessing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them; the command gets what was given as `preprocessing`, by the names of the API."""

    @functools.wraps(command)
    def called(*args: Any, **given: Any) -> Any:
        told = {name: given.pop(name) for name in FIELDS}
        found = {name: value for name, value in told.items() if value is not None}
        return command(*args, **given, preprocessing=found)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


def _numbers(_context: click.Context, _parameter: click.Parameter, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} are no numbers with commas between, such as 0.485,0.456,0.406") from error


def _size(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | list[int] | None:
    if text is None:
        return None
    try:
        sides = [int(part) for part in text.lower().split("x")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no size, such as 224 or 360x480 (height first)") from error
    return sides[0] if len(sides) == 1 else sides


_OPTIONS = (
    click.option("--mean", callback=_numbers, help="Of pictures' channels, values from 0 to 1: 0.485,0.456,0.406."),
    click.option("--std", callback=_numbers, help="The same for the standard deviation."),
    click.option("--input-size", callback=_size, help="Pixels that it sees: 224, or 360x480 (height first)."),
    click.option("--interpolation", type=click.Choice(["nearest", "bilinear", "bicubic"]), help="How it was resized."),
    click.option("--crop-pct", type=float, help="Share of a larger picture that the centre crop keeps, to 1."),
    click.option("--channel-order", type=click.Choice(["RGB", "BGR"]), help="BGR for OpenCV's and Caffe's networks."),
)
