"""Images with 16 bits beside masks, which keep their values whatever range the images have."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.modalities.images.depth import to_bytes
from distill.tasks.segment_images.samples import open_dataset
from tests.segmentation.shapes import archive, files, picture

TWELVE = (0, 4095)


def wide(seed: int) -> NDArray[np.uint16]:
    return picture(seed)[0][..., 0].astype(np.uint16) * 16


def test_images_are_read_in_the_range_and_masks_as_they_are(tmp_path: Path) -> None:
    content = files()
    for i in range(6):
        out = io.BytesIO()
        Image.fromarray(wide(i)).save(out, "PNG")
        content[f"images/{i:03d}.png"] = out.getvalue()
    plain = open_dataset(archive(tmp_path, content), scratch=tmp_path)
    ranged = open_dataset(archive(tmp_path, content).model_copy(update={"pixel_range": TWELVE}), scratch=tmp_path)
    assert plain.digest != ranged.digest
    assert any("0 to 4,095" in note for note in ranged.notes)
    names = [ranged.train.split.images.name(i) for i in range(len(ranged.train))]
    for i, name in enumerate(names):
        image, mask = ranged.train.pair(i)
        seed = int(name.rpartition("/")[2].partition(".")[0])
        assert np.array_equal(np.asarray(image), to_bytes(wide(seed), TWELVE))
        assert np.array_equal(mask, plain.train.pair(i)[1])
