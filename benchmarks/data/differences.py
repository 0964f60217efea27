"""How far crops of JPEGs decoded smaller are from crops of the whole: `python -m benchmarks.data.differences`.

Random crops of three photographs, encoded at quality 90, are shown at 1 / (divisor * gap) of their shorter side, so
that the smaller picture has `gap` times the crop's pixels on each side. Each is compared with the whole picture's crop,
and so are the two differences that everybody accepts: bicubic in place of bilinear, and Pillow's own
`reducing_gap=2.0`. Prints, in levels of 255, the mean, the mean of the crops' 99.9 % and the largest of all.
"""

from __future__ import annotations

import io
import sys
from collections import defaultdict

import numpy as np
from matplotlib.cbook import get_sample_data
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from distill.modalities.images import jpeg
from distill.modalities.images.crops import random_box
from distill.modalities.images.pixel_crops import Crop, cropped, resized
from distill.modalities.images.preprocessing import Preprocessing

CROPS, LEAST, GAPS, DIVISORS = 40, 16, (1.0, 1.5, 2.0, 3.0), (2, 4, 8)
BILINEAR = Image.Resampling.BILINEAR


def main() -> None:
    found: dict[tuple[float, str], list[NDArray[np.int64]]] = defaultdict(list)
    random = np.random.default_rng(0)
    for data in photographs():
        for _ in range(CROPS):
            numbers = random.random(6).tolist()
            for divisor in DIVISORS:
                for gap in GAPS:
                    for name, difference in compared(data, numbers, divisor, gap).items():
                        found[gap, name].append(difference)
    print("| gap | compared with bilinear of the whole | crops | mean | 99.9 % | largest |")
    print("|---:|---|---:|---:|---:|---:|")
    for (gap, name), each in sorted(found.items()):
        mean, most = np.mean([one.mean() for one in each]), max(one.max() for one in each)
        high = np.mean([np.percentile(one, 99.9) for one in each])
        print(f"| {gap:g} | {name} | {len(each)} | {mean:.2f} | {high:.1f} | {most} |")


def photographs() -> list[bytes]:
    with get_sample_data("grace_hopper.jpg") as file:
        third = np.asarray(Image.open(file).convert("RGB"))
    files = []
    for pixels in [*load_sample_images().images, third]:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
    return files


def compared(data: bytes, numbers: list[float], divisor: int, gap: float) -> dict[str, NDArray[np.int64]]:
    """Absolute differences in levels from the crop of the whole picture; none where the crop would be tiny."""
    crop = shown(data, numbers, 1)
    side = int(min(crop.pixels.shape[:2]) / (divisor * gap))
    if side < LEAST:
        return {}
    how = Preprocessing((0.5,) * 3, (0.5,) * 3, (side, side))
    bicubic = Preprocessing((0.5,) * 3, (0.5,) * 3, (side, side), "bicubic")
    quick = Image.fromarray(crop.pixels).resize((side, side), BILINEAR, reducing_gap=2.0)
    base = resized(crop, how).astype(np.int64)
    others = {
        f"ours, 1/{divisor}": resized(shown(data, numbers, divisor), how),
        "bicubic": resized(crop, bicubic),
        "Pillow's reducing_gap=2.0": np.asarray(quick),
    }
    return {name: np.abs(base - other) for name, other in others.items()}


def shown(data: bytes, numbers: list[float], divisor: int) -> Crop:
    found = jpeg.decoded(data, 10**8, lambda size: divisor)
    assert found is not None
    return cropped(found, random_box(found.size, numbers))


if __name__ == "__main__":
    sys.exit(main())
