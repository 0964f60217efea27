"""Any feature of a picture as a map over its places."""

from __future__ import annotations

from math import isqrt

from torch import Tensor

from distill.recipe_parts.layout import Layout

Size = tuple[int, int]


def as_map(feature: Tensor, size: Size) -> Tensor:
    """(n, c, h', w') of any feature; `size`: (h, w) of the network's input. Tokens in reading order become the grid
    whose shape is the input's; what stands before them (class tokens) is left out."""
    layout = Layout(tuple(feature.shape[1:]))
    if layout.is_map:
        return layout.as_map(feature)
    tokens = layout.as_tokens(feature)
    height, width = grid_of(tokens.shape[1], size)
    placed = tokens[:, tokens.shape[1] - height * width :].movedim(-1, 1)
    return placed.reshape(*placed.shape[:2], height, width)


def grid_of(tokens: int, size: Size) -> Size:
    """(h', w') of the largest grid of at most so many tokens that is shaped as the input."""
    height, width = size
    rows = max(1, isqrt(tokens * height // width))
    for candidate in range(rows + 1, 0, -1):
        columns = round(candidate * width / height)
        if 0 < candidate * columns <= tokens:
            return candidate, columns
    return 1, tokens
