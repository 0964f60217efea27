"""Every format gives the same boxes, classes and splits, from zip, tar and folder."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.errors import InvalidDataset
from distill.tasks.detect_objects.box_columns import FOURS, WAYS
from distill.tasks.detect_objects.opening import Raw, Split, open_raw
from distill.tasks.inspection import task_of
from distill.types import DatasetInput
from tests.data.files import write_folder, write_tar
from tests.detection.layouts import (
    CLASSES,
    FORMATS,
    Box,
    Files,
    Scene,
    archive,
    coco,
    coco_json,
    parquet,
    scenes,
    table,
    voc,
    xml,
    yolo,
    yolo_text,
)

OWL = "owl"


def boxes(split: Split, classes: tuple[str, ...]) -> dict[bytes, list[tuple[float, float, float, float, str]]]:
    """By what an image holds, since each format names it otherwise."""
    found = {}
    for i in range(len(split)):
        each = split.boxes(i)
        corners = np.round(each.corners, 3).tolist()
        rows = zip(corners, each.classes.tolist(), strict=True)
        found[split.images.content(i)] = sorted((*map(float, box), classes[label]) for box, label in rows)
    return found  # type: ignore[return-value]


def expected(made: list[Scene], split: str) -> dict[bytes, list[Box]]:
    return {scene.picture: sorted(scene.boxes) for scene in made if scene.split == split}


def check(raw: Raw, made: list[Scene]) -> None:
    for split in ("train", "test"):
        assert boxes(raw.splits[split], raw.classes) == expected(made, split)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same(name: str, tmp_path: Path) -> None:
    made = scenes()
    raw = open_raw(FORMATS[name](made, tmp_path))
    assert raw.classes == CLASSES
    check(raw, made)
    assert raw.boxes == sum(len(scene.boxes) for scene in made)
    assert not any(fault.count for fault in raw.faults.values())


side = st.integers(3, 40)


@st.composite
def drawn(draw: st.DrawFn) -> list[Scene]:
    """Any boxes of whole pixels within images of any size; every split has each class once, so that all formats know
    it."""
    found = []
    for split in ("train", "test"):
        for i in range(draw(st.integers(1, 3))):
            size = (draw(side), draw(side))
            rows = list[Box]()
            for name in draw(st.lists(st.sampled_from(CLASSES), max_size=3)) if i else CLASSES:
                x1, y1 = draw(st.integers(0, size[1] - 1)), draw(st.integers(0, size[0] - 1))
                rows.append((x1, y1, draw(st.integers(x1 + 1, size[1])), draw(st.integers(y1 + 1, size[0])), name))
            found.append(Scene(f"{split}{i}", split, size, tuple(rows)))
    return found


@given(drawn())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_boxes_read_as_they_were_written(made: list[Scene]) -> None:
    if len({scene.picture for scene in made}) < len(made) or _could_be_corners(made):
        return
    for name, write in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            raw = open_raw(write(made, Path(folder)))
            assert raw.classes == CLASSES, name
            check(raw, made)


def _could_be_corners(made: list[Scene]) -> bool:
    """Whether sizes could be taken for shares: boxes of nothing but ones and noughts."""
    return all(max(box[:4]) <= 1 for scene in made for box in scene.boxes)


def test_packings_have_one_digest(tmp_path: Path) -> None:
    files = voc(scenes())
    folder, packed = write_folder(tmp_path / "folder", files), write_tar(tmp_path / "a.tar.gz", files, "w:gz")
    inputs = [
        archive(tmp_path, files),
        DatasetInput(kind="folder", name="boxes", files={"all": str(folder)}),
        DatasetInput(kind="archive", name="boxes", files={"all": str(packed)}),
    ]
    assert len({open_raw(each).digest for each in inputs}) == 1
    moved = replace(scenes()[0], boxes=((1, 1, 5, 5, "cat"),))
    assert open_raw(archive(tmp_path, voc([moved, *scenes()[1:]]))).digest != open_raw(inputs[1]).digest


def test_roles_are_splits(tmp_path: Path) -> None:
    made = scenes()
    paths = {}
    for role in ("train", "test"):
        (tmp_path / role).mkdir()
        own = [replace(scene, split="train") for scene in made if scene.split == role]
        paths[role] = archive(tmp_path / role, coco(own)).files["all"]
    check(open_raw(DatasetInput(kind="archive", name="boxes", files=paths)), made)


# -- COCO -------------------------------------------------------------------------------------------------------------


def test_cocos_own_layout(tmp_path: Path) -> None:
    """80 categories with gaps in their ids, captions and key points beside, a test split without annotations."""
    ids = [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
    names = [*CLASSES, *(f"thing {number}" for number in range(77))]
    made = scenes()
    files = coco(made, ids, names)
    train = files["annotations/instances_train2017.json"]
    files |= {"annotations/captions_train2017.json": b'{"images": [], "annotations": [{"caption": "a cat"}]}'}
    files |= {"annotations/person_keypoints_train2017.json": train}
    files |= {"annotations/image_info_test2017.json": b'{"images": [{"id": 1, "file_name": "x.png"}]}'}
    files |= {"test2017/x.png": scenes(1)[0].picture}
    raw = open_raw(archive(tmp_path, files))
    assert raw.classes == tuple(names)
    check(raw, made)
    assert any("person_keypoints" in note for note in raw.notes)
    assert any("test2017/x.png" in note for note in raw.notes)
    assert any("77 of 80 classes" in note for note in raw.notes)


def test_a_test_split_without_annotations_is_named(tmp_path: Path) -> None:
    made = scenes()
    files = coco(made) | {"annotations/test.json": json.dumps(coco_json([], (1, 2, 3), CLASSES)).encode()}
    raw = open_raw(archive(tmp_path, files))
    assert any("annotations/test.json" in note for note in raw.notes)
    check(raw, made)


def test_crowds_ignored_boxes_and_areas_of_masks(tmp_path: Path) -> None:
    made = scenes()
    files = coco(made)
    data = json.loads(files["annotations/instances_train2017.json"])
    data["annotations"][0] |= {"iscrowd": 1, "area": 12.5}
    data["annotations"][1] |= {"ignore": 1}
    files["annotations/instances_train2017.json"] = json.dumps(data).encode()
    found = open_raw(archive(tmp_path, files)).train.objects.boxes
    assert (found.crowd.sum(), found.ignored.sum()) == (1, 2)
    assert 12.5 in found.areas.tolist()


def test_one_json_for_images_in_a_folder(tmp_path: Path) -> None:
    made = [replace(scene, split="train") for scene in scenes(30, 0)]
    files = {f"images/{scene.stem}.png": scene.picture for scene in made}
    files |= {"labels.json": json.dumps(coco_json(made, (0, 1, 2), CLASSES), indent=1).encode()}
    raw = open_raw(archive(tmp_path, files))
    assert len(raw.train) + len(raw.test) == 30
    assert any(note.startswith("No test split") for note in raw.notes)


# -- Pascal VOC -------------------------------------------------------------------------------------------------------


def test_voc_counts_from_one_unless_something_stands_at_nought(tmp_path: Path) -> None:
    scene = Scene("a", "train", (20, 30), ((0, 0, 30, 20, "cat"), (4, 5, 6, 7, "dog")))
    other = Scene("b", "test", (20, 30), ((4, 5, 6, 7, "cat"), (1, 1, 2, 2, "dog")))
    files = voc([scene, other])
    raw = open_raw(archive(tmp_path, files))
    assert boxes(raw.train, raw.classes)[scene.picture] == sorted(scene.boxes)
    files["VOCdevkit/VOC2012/Annotations/a.xml"] = xml(scene, counted_from=0)
    raw = open_raw(archive(tmp_path, files))
    assert boxes(raw.train, raw.classes)[scene.picture] == sorted(scene.boxes)
    assert boxes(raw.test, raw.classes)[other.picture] == [(5, 6, 6, 7, "cat")]
    assert raw.faults["empty"].first == ["VOCdevkit/VOC2012/JPEGImages/b.png: box 2"]


def test_vocs_difficult_objects_are_ignored(tmp_path: Path) -> None:
    files = voc(scenes())
    path = "VOCdevkit/VOC2012/Annotations/train_000.xml"
    files[path] = files[path].replace(b"<difficult>0", b"<difficult>1")
    boxes_ = open_raw(archive(tmp_path, files)).train.objects.boxes
    assert boxes_.ignored.sum() == 1
    assert not boxes_.crowd.any()


def test_three_splits_stay_three(tmp_path: Path) -> None:
    made = scenes()
    extra = replace(made[0], stem="val_0", split="val")
    raw = open_raw(archive(tmp_path, voc([*made, extra])))
    assert raw.validation is not None
    assert boxes(raw.validation, raw.classes) == expected([extra], "val")
    check(raw, made)


def test_xml_beside_images(tmp_path: Path) -> None:
    made = scenes()
    files: Files = {}
    for scene in made:
        files |= {
            f"images/{scene.split}/{scene.stem}.png": scene.picture,
            f"images/{scene.split}/{scene.stem}.xml": xml(scene),
        }
    check(open_raw(archive(tmp_path, files)), made)


# -- YOLO -------------------------------------------------------------------------------------------------------------


def test_yolo_by_folders_lists_and_names_alone(tmp_path: Path) -> None:
    made = scenes()
    files: Files = {"classes.txt": "\n".join(CLASSES).encode()}
    for scene in made:
        files[f"images/{scene.split}2017/{scene.stem}.png"] = scene.picture
        files[f"labels/{scene.split}2017/{scene.stem}.txt"] = yolo_text(scene)
    check(open_raw(archive(tmp_path, files)), made)
    lists = {
        f"{split}.txt": "".join(f"./images/{split}2017/{s.stem}.png\n" for s in made if s.split == split).encode()
        for split in ("train", "test")
    }
    names = "\n".join(f"  {i}: {name}" for i, name in enumerate(CLASSES))
    yaml = f"path: ../datasets/birds\ntrain: train.txt\ntest: test.txt\nnames:\n{names}\n".encode()
    check(open_raw(archive(tmp_path, files | lists | {"birds.yaml": yaml})), made)


def test_a_validation_split_that_is_the_training_split_is_none(tmp_path: Path) -> None:
    made = [replace(scene, split="train") for scene in scenes(20, 0)]
    files = yolo(made) | {"data.yaml": b"train: train/images\nval: train/images\nnames: [cat, dog, owl]\n"}
    raw = open_raw(archive(tmp_path, files))
    assert any("data.yaml" in note for note in raw.notes)
    assert len(raw.train) + len(raw.test) == 20


def test_polygons_give_their_boxes(tmp_path: Path) -> None:
    scene = Scene("a", "train", (20, 40), ((10, 5, 30, 15, "cat"),))
    files = yolo([scene, replace(scene, stem="b", split="test", size=(20, 40))])
    files["train/labels/a.txt"] = b"0 0.25 0.25 0.75 0.5 0.5 0.75\n"
    raw = open_raw(archive(tmp_path, files))
    assert boxes(raw.train, raw.classes)[scene.picture] == sorted(scene.boxes)


# -- tables and parquet -----------------------------------------------------------------------------------------------


def test_a_table_of_shares_and_one_of_box_lists(tmp_path: Path) -> None:
    made = scenes()
    files = {path: data for path, data in table(made).items() if path.endswith(".png")}
    shares = "ImageID,LabelName,XMin,XMax,YMin,YMax,split\n"
    lists = "image_id,bbox,label,split\n"
    for scene in made:
        for x1, y1, x2, y2, name in scene.boxes:
            h, w = scene.size
            shares += f"{scene.stem},{name},{x1 / w},{x2 / w},{y1 / h},{y2 / h},{scene.split}\n"
            lists += f'{scene.stem}.png,"[{x1}, {y1}, {x2 - x1}, {y2 - y1}]",{name},{scene.split}\n'
    full = [scene for scene in made if scene.boxes]
    for text in (shares, lists):
        check(open_raw(archive(tmp_path, files | {"boxes.csv": text.encode()})), full)


def test_parquet_with_corners_says_so(tmp_path: Path) -> None:
    made = [
        Scene(
            f"{split}{i}",
            split,
            (100, 100),
            ((60, 60, 90 + i, 95, "cat"), (50, 70, 80, 99, "dog"), (1, 2, 3, 4, "owl")),
        )
        for split in ("train", "test")
        for i in range(4)
    ]
    as_corners = [
        replace(s, boxes=tuple((x1, y1, x1 + x2, y1 + y2, name) for x1, y1, x2, y2, name in s.boxes)) for s in made
    ]
    raw = open_raw(parquet(as_corners, tmp_path))
    check(raw, made)
    assert any("x1 y1 x2 y2" in note for note in raw.notes)


def test_a_file_without_a_box_is_refused(tmp_path: Path) -> None:
    made = [replace(scene, boxes=()) for scene in scenes()]
    with pytest.raises(InvalidDataset):
        open_raw(archive(tmp_path, voc(made)))


@pytest.mark.parametrize(("count", "told"), [("nc: 3", False), ("nc: 5", True), ("nc: 2", True), ("nc: many", False)])
def test_a_number_of_classes_that_the_names_contradict_is_named(tmp_path: Path, count: str, told: bool) -> None:
    files = yolo(scenes())
    files["data.yaml"] = files["data.yaml"].replace(b"nc: 3", count.encode())
    raw = open_raw(archive(tmp_path, files))
    assert any(count in note for note in raw.notes) is told
    assert raw.classes == CLASSES


SAID = [(kind, way, shares) for kind in ("parquet", "csv") for way in WAYS for shares in (False, True)]


@pytest.mark.parametrize(("kind", "way", "shares"), [one for one in SAID if one != ("parquet", "xyxy", True)])
def test_the_columns_name_says_what_its_numbers_are(tmp_path: Path, kind: str, way: str, shares: bool) -> None:
    _same_boxes(tmp_path, kind, way, shares, f"bbox_{way}", "")


@pytest.mark.parametrize(("kind", "way", "shares"), SAID)
def test_a_registration_says_what_the_numbers_are(tmp_path: Path, kind: str, way: str, shares: bool) -> None:
    """Before the name of their column does, which here says something else."""
    other = "xyxy" if way == "cxcywh" else "cxcywh"
    _same_boxes(tmp_path, kind, way, shares, f"bbox_{other}", f"{way}_{'relative' if shares else 'absolute'}")


FOUR_COLUMNS = [(names, way, "") for way, known in FOURS.items() for names in known]


@pytest.mark.parametrize(("names", "way", "told"), [*FOUR_COLUMNS, (FOURS["xywh"][2], "cxcywh", "cxcywh")])
def test_four_columns_say_what_their_numbers_are(names: tuple[str, ...], way: str, told: str, tmp_path: Path) -> None:
    """Beside the image's own size, where its columns have other names; a registration counts before the names."""
    made = [scene for scene in scenes() if scene.boxes]
    sized = not {"width", "height"} & set(names)
    lines = [",".join(["image_name", "label_name", "split", *names, *(["width", "height"] if sized else [])])]
    for scene in made:
        size = [scene.size[1], scene.size[0]] if sized else []
        for x1, y1, x2, y2, name in scene.boxes:
            width, height = x2 - x1, y2 - y1
            four = {"xyxy": (x1, y1, x2, y2), "xywh": (x1, y1, width, height)}
            numbers = four.get(way, ((x1 + x2) / 2, (y1 + y2) / 2, width, height))
            lines.append(",".join(map(str, (f"{scene.stem}.png", name, scene.split, *numbers, *size))))
    files = {f"images/{scene.stem}.png": scene.picture for scene in made} | {"boxes.csv": "\n".join(lines).encode()}
    given = archive(tmp_path, files).model_copy(update={"box_format": told})
    assert task_of(given) == "detect_objects"
    check(open_raw(given), made)


def test_what_a_registration_says_of_boxes_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    """By a format that says it itself, by files without boxes, and where the numbers are in the other unit."""
    made = archive(tmp_path, coco(scenes()))
    with pytest.raises(InvalidDataset):
        open_raw(made.model_copy(update={"box_format": "xywh"}))
    given = archive(tmp_path, table(scenes()))
    assert len(open_raw(given.model_copy(update={"box_format": "xyxy_absolute"})).train) == 12
    with pytest.raises(InvalidDataset):
        open_raw(given.model_copy(update={"box_format": "xyxy_relative"}))
    plain = DatasetInput(kind="named", name="digits", task="classify_images", box_format="xywh")
    with pytest.raises(InvalidDataset, match="box_format"):
        task_of(plain)


def _same_boxes(tmp_path: Path, kind: str, way: str, shares: bool, column: str, box_format: str) -> None:
    """Boxes written so, in a column of that name, are those of COCO's file."""
    made = scenes()
    plain = open_raw(FORMATS["coco"](made, tmp_path))

    def numbers(scene: Scene) -> list[list[float]]:
        height, width = scene.size if shares else (1, 1)
        rows = []
        for x1, y1, x2, y2, _ in scene.boxes:
            four = {
                "xyxy": (x1, y1, x2, y2), "xywh": (x1, y1, x2 - x1, y2 - y1),
                "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
            }[way]  # fmt: skip
            rows.append([value / side for value, side in zip(four, (width, height) * 2, strict=True)])
        return rows

    if kind == "parquet":
        rows = [
            {
                "image": {"bytes": scene.picture, "path": f"{scene.stem}.png"}, "split": scene.split,
                column: numbers(scene), "category": [name for *_, name in scene.boxes],
            }
            for scene in made
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "boxes.parquet")
        given = DatasetInput(kind="parquet", name="boxes", files={"all": str(tmp_path / "boxes.parquet")})
    else:
        files = {f"images/{scene.split}/{scene.stem}.png": scene.picture for scene in made}
        for split in ("train", "test"):
            lines = [
                f'{scene.stem}.png,{name},"{four}"'
                for scene in made if scene.split == split
                for four, (*_, name) in zip(numbers(scene), scene.boxes, strict=True)
            ] + [f"{scene.stem}.png,," for scene in made if scene.split == split and not scene.boxes]  # fmt: skip
            files[f"images/{split}_labels.csv"] = "\n".join([f"filename,class,{column}", *lines]).encode()
        given = archive(tmp_path, files)
    found = open_raw(given.model_copy(update={"box_format": box_format}))
    for split in ("train", "test"):
        ours, theirs = found.splits[split], plain.splits[split]
        assert ours.objects.boxes.corners == pytest.approx(theirs.objects.boxes.corners, abs=1e-3)
        assert ours.objects.boxes.classes.tolist() == theirs.objects.boxes.classes.tolist()
