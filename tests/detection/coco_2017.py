"""COCO as it is published, with made-up pictures: 80 categories whose ids have gaps."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.files import write_zip

IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
"""The ids of COCO 2017's 80 categories."""
WIDTH, HEIGHT, TRAIN, TEST = 96, 64, 24, 8


def published(folder: Path) -> Path:
    """`train2017`, `val2017` and `annotations` with all six files; four objects a picture of each split, every category
    in training; one crowd by RLE, and one training picture without objects."""
    files: dict[str, bytes] = {}
    for split, count, first in (("train2017", TRAIN, 9), ("val2017", TEST, 139)):
        made = [_picture(split, first + 7 * i, [IDS[(4 * i + k) % len(IDS)] for k in range(4)]) for i in range(count)]
        files |= {f"{split}/{image['file_name']}": data for image, data, _ in made}
        images = [image for image, _, _ in made]
        objects = [each for _, _, mine in made for each in mine]
        if split == "train2017":
            images.append(_picture(split, 900, [])[0])
            files[f"{split}/{images[-1]['file_name']}"] = _picture(split, 900, [])[1]
            crowd = {"counts": [0, WIDTH * HEIGHT], "size": [HEIGHT, WIDTH]}
            objects.append(_annotation(images[0]["id"], 1, [0, 0, WIDTH, HEIGHT], crowd, 1))
        whole = {"info": {"year": 2017}, "licenses": [{"id": 1, "name": "made up"}], "images": images}
        captions = [{"id": 1, "image_id": images[0]["id"], "caption": "rectangles"}]
        people = [{**each, "keypoints": [0] * 51, "num_keypoints": 0} for each in objects if each["category_id"] == 1]
        categories = [{"id": number, "name": f"thing {number}", "supercategory": "thing"} for number in IDS]
        for kind, more in (
            ("instances", {"annotations": objects, "categories": categories}),
            ("captions", {"annotations": captions}),
            ("person_keypoints", {"annotations": people, "categories": categories[:1]}),
        ):
            files[f"annotations/{kind}_{split}.json"] = json.dumps(whole | more).encode()
    return write_zip(folder / "coco.zip", files)


def _picture(split: str, number: int, categories: list[int]) -> tuple[dict[str, Any], bytes, list[dict[str, Any]]]:
    random = np.random.default_rng(number)
    pixels = random.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    objects = []
    for place, category in enumerate(categories):
        x, y, side = 24 * place + 1, int(random.integers(0, HEIGHT - 22)), 20
        pixels[y : y + side, x : x + side] = (2 * category, 255 - 2 * category, 128)
        corners = [x, y, x + side, y, x + side, y + side, x, y + side]
        objects.append(_annotation(number, category, [x, y, side, side], [corners]))
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    name = f"{number:012}.jpg"
    image = {
        "id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, "license": 1,
        "coco_url": f"http://images.example.org/{split}/{name}", "date_captured": "2013-11-14 11:18:45",
    }  # fmt: skip
    return image, out.getvalue(), objects


def _annotation(image: int, category: int, box: list[int], outline: Any, crowd: int = 0) -> dict[str, Any]:
    return {
        "id": 1_000_000 * crowd + 1000 * image + category, "image_id": image, "category_id": category, "bbox": box,
        "area": box[2] * box[3], "segmentation": outline, "iscrowd": crowd,
    }  # fmt: skip
