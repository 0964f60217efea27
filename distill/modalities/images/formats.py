"""Which encoded images are read, and what a file is by its first bytes: names lie. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from PIL import features

AVIF = bool(features.check("avif")) if "avif" in features.modules else False
"""Whether Pillow was built with AVIF."""
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP", *(("AVIF",) if AVIF else ()))
"""Decoders that may see untrusted bytes. EPS, which runs a program, is not among them."""
EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpg", ".jpeg", ".jfif", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp", ".avif"}
)
"""Endings of files that are taken for images before a byte of them is read."""
HEAD_BYTES = 144
CONVERT = "Convert them to JPEG or PNG (ImageMagick: `mogrify -format jpg *.heic`; iPhone: share as 'Most Compatible')."
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF8": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)
_PPM = re.compile(rb"P[1-6]\s+(#|\d)")


def sniff(head: bytes) -> str | None:
    """The image format that a file's first `HEAD_BYTES` say, read or not; None for what is no image."""
    found = next((name for start, name in _STARTS.items() if head.startswith(start)), None)
    if found:
        return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and len(head) > 25:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head[128:132] == b"DICM":
        return "DICOM"
    return "PPM" if _PPM.match(head) else None


def _brand(head: bytes) -> str | None:
    """AVIF and HEIC are one container; its brands tell them apart, the general ones last."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size, 4))]
    said = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return "AVIF" if "AVIF" in said else said[0] if said else None


def is_image(name: str, head: Callable[[], bytes]) -> bool:
    """Whether the file is taken for an image: by its ending, else by its first bytes, which `head` reads. What is an
    image and none of `FORMATS` is taken too, and then named among the unreadable ones."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS or sniff(head()) is not None


def unread(data: bytes) -> str | None:
    """Why an encoded image is not read where that is its format, None where it may be."""
    found = sniff(data[:HEAD_BYTES])
    return f"it is {found}, which is not read; convert it to JPEG or PNG" if found and found not in FORMATS else None
