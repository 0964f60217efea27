"""What a network sees where there is no picture: the mean colour that it is normalised by."""

from __future__ import annotations

from PIL import Image

from distill.modalities.images.preprocessing import Preprocessing


def blank(mode: str, how: Preprocessing) -> Image.Image:
    """An image of the network's input size in its mean colour, mode L or RGB."""
    return Image.new(mode, how.size[::-1], mean_colour(mode, how))


def mean_colour(mode: str, how: Preprocessing) -> int | tuple[int, ...]:
    """What the network takes for nothing, of mode L or RGB: one number from 0 to 255, or one a channel."""
    mean = [max(0, round(255 * value)) for value in how.rgb_mean]
    return tuple(mean) if mode == "RGB" and len(mean) == 3 else round(sum(mean) / len(mean))
