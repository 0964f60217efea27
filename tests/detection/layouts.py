"""The same made-up images with boxes, written in every format that is read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from distill.types import DatasetInput
from tests.data.files import write_zip

CLASSES = ("cat", "dog", "owl")
Box = tuple[int, int, int, int, str]
"""x1 y1 x2 y2, whole pixels, and the class."""
Files = dict[str, bytes]


@dataclass(frozen=True)
class Scene:
    """An image by its stem, of (height, width), with its boxes."""

    stem: str
    split: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]

    @property
    def picture(self) -> bytes:
        random = np.random.default_rng(sum(self.stem.encode()))
        pixels = random.integers(0, 256, (*self.size, 3)).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        return out.getvalue()


def scenes(train: int = 12, test: int = 6, size: tuple[int, int] = (48, 64)) -> list[Scene]:
    """One in six has no box; the others have one to three."""
    found = []
    for split, count in (("train", train), ("test", test)):
        for i in range(count):
            random = np.random.default_rng(1000 * (split == "test") + i)
            boxes = [_box(random, size) for _ in range(0 if i % 6 == 5 else 1 + i % 3)]
            found.append(Scene(f"{split}_{i:03d}", split, size, tuple(boxes)))
    return found


def _box(random: np.random.Generator, size: tuple[int, int]) -> Box:
    height, width = (int(random.integers(2, side // 2)) for side in size)
    left, top = int(random.integers(0, size[1] - width + 1)), int(random.integers(0, size[0] - height + 1))
    return (left, top, left + width, top + height, CLASSES[int(random.integers(len(CLASSES)))])


def coco(found: Sequence[Scene], ids: Sequence[int] = (3, 17, 90), names: Sequence[str] = CLASSES) -> Files:
    """`train2017/`, `val2017/` and `annotations/instances_*2017.json`; the test split is COCO's val."""
    files: Files = {}
    for split, called in (("train", "train2017"), ("test", "val2017")):
        own = [scene for scene in found if scene.split == split]
        if not own:
            continue
        files |= {f"{called}/{scene.stem}.png": scene.picture for scene in own}
        files[f"annotations/instances_{called}.json"] = json.dumps(coco_json(own, ids, names)).encode()
    return files


def coco_json(own: Sequence[Scene], ids: Sequence[int], names: Sequence[str]) -> dict[str, Any]:
    annotations = [
        {"image_id": 7 * i, "category_id": ids[names.index(name)], "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
        for i, scene in enumerate(own)
        for x1, y1, x2, y2, name in scene.boxes
    ]
    return {
        "info": {"year": 2017},
        "images": [
            {"id": 7 * i, "file_name": f"{scene.stem}.png", "height": scene.size[0], "width": scene.size[1]}
            for i, scene in enumerate(own)
        ],
        "annotations": [each | {"id": i} for i, each in enumerate(annotations)],
        "categories": [{"id": number, "name": name} for number, name in zip(ids, names, strict=True)],
    }


def voc(found: Sequence[Scene], top: str = "VOCdevkit/VOC2012") -> Files:
    """Corners counted from 1, the last pixel included."""
    files: Files = {}
    for scene in found:
        files[f"{top}/JPEGImages/{scene.stem}.png"] = scene.picture
        files[f"{top}/Annotations/{scene.stem}.xml"] = xml(scene)
    for split in sorted({scene.split for scene in found}):
        lines = "".join(f"{scene.stem}\n" for scene in found if scene.split == split)
        files[f"{top}/ImageSets/Main/{split}.txt"] = lines.encode()
    return files


def xml(scene: Scene, counted_from: int = 1) -> bytes:
    objects = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1 + counted_from}</xmin>"
        f"<ymin>{y1 + counted_from}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for x1, y1, x2, y2, name in scene.boxes
    )
    height, width = scene.size
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{scene.stem}.png</filename>{size}{objects}</annotation>".encode()


def yolo(found: Sequence[Scene]) -> Files:
    """As Roboflow exports it: `train/images`, `train/labels` and `data.yaml` with paths from elsewhere."""
    names = ", ".join(CLASSES)
    files: Files = {"data.yaml": f"train: ../train/images\ntest: ../test/images\nnc: 3\nnames: [{names}]\n".encode()}
    for scene in found:
        files[f"{scene.split}/images/{scene.stem}.png"] = scene.picture
        if scene.boxes:
            files[f"{scene.split}/labels/{scene.stem}.txt"] = yolo_text(scene)
    return files


def yolo_text(scene: Scene) -> bytes:
    height, width = scene.size
    return "".join(
        f"{CLASSES.index(name)} {(x1 + x2) / 2 / width:.9f} {(y1 + y2) / 2 / height:.9f} {(x2 - x1) / width:.9f} "
        f"{(y2 - y1) / height:.9f}\n"
        for x1, y1, x2, y2, name in scene.boxes
    ).encode()


def table(found: Sequence[Scene]) -> Files:
    """TensorFlow's tutorials: `train_labels.csv` and `test_labels.csv`; an image without objects has empty cells."""
    files: Files = {}
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    for split in sorted({scene.split for scene in found}):
        lines = ""
        for scene in (scene for scene in found if scene.split == split):
            height, width = scene.size
            start = f"{scene.stem}.png,{width},{height}"
            files[f"images/{split}/{scene.stem}.png"] = scene.picture
            lines += "".join(f"{start},{name},{x1},{y1},{x2},{y2}\n" for x1, y1, x2, y2, name in scene.boxes)
            lines += "" if scene.boxes else f"{start},,,,,\n"
        files[f"images/{split}_labels.csv"] = (head + lines).encode()
    return files


def parquet(found: Sequence[Scene], folder: Path, nested: bool = False) -> DatasetInput:
    """`objects` as a struct of lists, or (`nested`) a list of structs, with the metadata of `datasets`."""
    rows = [_row(scene, nested) for scene in found]
    one = pa.struct([("bbox", pa.list_(pa.float32())), ("category", pa.int64())])
    lists = pa.struct([("bbox", pa.list_(pa.list_(pa.float32()))), ("category", pa.list_(pa.int64()))])
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("objects", pa.list_(one) if nested else lists),
            ("split", pa.string()),
        ]
    )
    label = {"names": list(CLASSES), "_type": "ClassLabel"}
    objects: Any = {"bbox": {"feature": {"dtype": "float32"}, "length": 4}, "category": {"feature": label}}
    objects = [{"bbox": [{"dtype": "float32"}], "category": label}] if nested else objects
    meta = json.dumps({"info": {"features": {"objects": objects}}})
    path = folder / "boxes.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema.with_metadata({"huggingface": meta})), path)
    return DatasetInput(kind="parquet", name="boxes", files={"all": str(path)})


def _row(scene: Scene, nested: bool) -> dict[str, Any]:
    boxes = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2, _ in scene.boxes]
    labels = [CLASSES.index(name) for *_, name in scene.boxes]
    objects: Any = {"bbox": boxes, "category": labels}
    if nested:
        objects = [{"bbox": box, "category": label} for box, label in zip(boxes, labels, strict=True)]
    return {"image": {"bytes": scene.picture, "path": f"{scene.stem}.png"}, "objects": objects, "split": scene.split}


def archive(folder: Path, files: Files, task: str = "") -> DatasetInput:
    path = write_zip(folder / "boxes.zip", files)
    return DatasetInput(kind="archive", name="boxes", files={"all": str(path)}, task=task)


Written = Callable[[Sequence[Scene], Path], DatasetInput]
FORMATS: dict[str, Written] = {
    "coco": lambda found, folder: archive(folder, coco(found)),
    "voc": lambda found, folder: archive(folder, voc(found)),
    "yolo": lambda found, folder: archive(folder, yolo(found)),
    "table": lambda found, folder: archive(folder, table(found)),
    "objects": lambda found, folder: parquet(found, folder),
    "list of objects": lambda found, folder: parquet(found, folder, nested=True),
}
