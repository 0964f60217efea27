"""Python that prepares a picture for an exported file as evaluation did, by Pillow and numpy alone."""

from __future__ import annotations

from distill.export import Around, Context, Graph
from distill.tasks._images.snippet import centred

_PIXELS = """    pixels = np.asarray(image, np.uint8).reshape({height}, {width}, {channels}).transpose(2, 0, 1)
{rest}
"""
_RAW = "    return np.ascontiguousarray(pixels)[None]"
_NORMALISED = """    mean, std = np.array({mean}, np.float32), np.array({std}, np.float32)
    return ((pixels{order} / np.float32(255) - mean[:, None, None]) / std[:, None, None])[None]"""


def around(context: Context, graph: Graph, read: str, begin: str | None = None) -> Around | None:
    """None of 16-bit grey, whose range Pillow does not know. `read`: what is done with the array `output`. `begin`: the
    beginning of `prepare(path)`, which makes `image` in the input's shape, as a format of `height`, `width`,
    `channels`, `mode` and `resampling`; None: the centre, as classifiers see it."""
    how = context.preprocessing
    if how.pixel_range is not None:
        return None
    order = "[::-1]" if how.channel_order == "BGR" else ""
    rest = _RAW if graph.input == "pixels" else _NORMALISED.format(mean=list(how.mean), std=list(how.std), order=order)
    shape = {"channels": how.channels, "height": how.size[0], "width": how.size[1]}
    how_seen = {"mode": how.mode, "resampling": how.interpolation.upper()}
    start = centred(context, "file's") if begin is None else begin.format(**shape, **how_seen)
    prepare = start + _PIXELS.format(rest=rest, **shape)
    return Around(("import numpy as np", "from PIL import Image"), prepare, read)
