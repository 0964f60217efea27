"""COCO as it is published, with made-up pictures: 80 categories whose ids have gaps, from its zip to a student."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from distill.student import load_student
from tests.data.files import write_zip
from tests.embedded.service import Service, wait_for
from tests.integration.main_job import architectures_known
from tests.worker.support import wait_until

pytestmark = pytest.mark.long

IDS = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
"""The ids of COCO 2017's 80 categories."""
WIDTH, HEIGHT, TRAIN, TEST = 96, 64, 24, 8
CONFIG = {
    "recipe": "cross_entropy", "epochs": 1, "batch_size": 8, "image_size": 96, "device": "cpu", "precision": "fp32",
    "compile": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data")
    try:
        yield service.client()
    finally:
        service.kill()


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


def test_from_the_published_layout_to_a_student(client: httpx.Client, tmp_path: Path) -> None:
    wait_until(lambda: architectures_known(client), 180)
    with published(tmp_path).open("rb") as file:
        dataset = client.post("/datasets", files={"file": ("coco.zip", file)}, data={"name": "coco"})
    assert dataset.status_code == 201, dataset.text
    report = dataset.json()["report"]
    names = [f"thing {number}" for number in IDS]
    assert (report["task"], report["classes"]) == ("detect_objects", names)
    assert report["counts"] == {"train": [TRAIN + 1], "test": [TEST]}
    assert sum(report["boxes"]["train"]) == 4 * TRAIN + 1
    assert (min(report["boxes"]["train"]), report["ignored"]) == (1, {"train": 1, "test": 0})
    assert report["background"] == {"train": 1, "test": 0}
    assert set(report["faults"].values()) == {0}
    student = {"name": "retort:fcos", "options": {"backbone": "test_byobnet", "width": 8, "depth": 1}}
    job = client.post("/jobs", json={"dataset": dataset.json()["id"], "student": student, "config": CONFIG})
    assert job.status_code == 202, job.text
    found = wait_for(client, job.json()["id"], 240, status="succeeded")

    def artifact(name: str) -> bytes:
        path = f"/jobs/{found['id']}/artifacts/{name}"
        return client.get(path, follow_redirects=True).raise_for_status().content

    tested = json.loads(artifact("report.json"))["student"]
    assert list(tested["per_class"]) == names
    assert tested["answer_ms"] > 0
    said = json.loads(artifact("predictions.json"))
    assert {each["file_name"] for each in said["images"]} == {f"val2017/{139 + 7 * i:012}.jpg" for i in range(TEST)}
    worst = json.loads(artifact("worst.json"))
    assert (worst["classes"], len(worst["images"])) == (names, TEST)
    path = tmp_path / "student.safetensors"
    path.write_bytes(client.get(f"/jobs/{found['id']}/student", follow_redirects=True).raise_for_status().content)
    boxes = load_student(path).predict(Image.new("RGB", (WIDTH, HEIGHT))).to_coco(7, category_ids=IDS)
    assert {each["category_id"] for each in boxes} <= set(IDS)
