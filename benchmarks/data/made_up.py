"""What made-up data sets of pictures are made of."""

from __future__ import annotations

import io
import tarfile

import numpy as np
from numpy.typing import NDArray


def spectrum(random: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """(3, height, width) whose amplitude falls as 1 / frequency, as photographs' does; colours go together."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    slope = 1 / np.maximum(np.hypot(rows, columns), 1 / width)
    waves = random.normal(size=(3, *slope.shape)) + 1j * random.normal(size=(3, *slope.shape))
    found: NDArray[np.float64] = np.fft.irfft2((waves * 0.3 + waves[:1]) * slope, s=(height, width))
    return found


def put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """A member of these bytes."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
