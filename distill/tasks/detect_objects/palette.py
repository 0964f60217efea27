"""A colour for each class, apart from each other and from dark and light pictures. Torch-free."""

from __future__ import annotations

from colorsys import hsv_to_rgb

Colour = tuple[int, int, int]
_GOLDEN = 0.6180339887498949  # consecutive classes lie far apart on the circle of hues, whatever their number


def colours(count: int) -> tuple[Colour, ...]:
    """One a class: hues at the golden ratio's distance, in three strengths."""
    return tuple(_colour(number) for number in range(count))


def _colour(number: int) -> Colour:
    strength = (1.0, 0.75, 0.9)[number % 3]
    red, green, blue = hsv_to_rgb((0.02 + number * _GOLDEN) % 1, 0.85, strength)
    return round(255 * red), round(255 * green), round(255 * blue)
