"""What is wrong with boxes and their files is refused with a remedy, or left out by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.limits import Limits
from distill.errors import InvalidDataset
from distill.tasks.detect_objects import coco as coco_reader
from distill.tasks.detect_objects import voc as voc_reader
from distill.tasks.detect_objects import yolo as yolo_reader
from distill.tasks.detect_objects.opening import Raw, open_raw
from distill.tasks.detect_objects.settling import settle
from distill.tasks.detect_objects.written import MOST_OF_AN_IMAGE, Form, Writer
from tests.detection.layouts import (
    Files,
    Scene,
    archive,
    coco,
    coco_json,
    parquet,
    scenes,
    table,
    voc,
    yolo,
)

TRAIN = "annotations/instances_train2017.json"
XML = "VOCdevkit/VOC2012/Annotations/train_001.xml"
LAUGHS = (
    b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">%s]><annotation><filename>&z;</filename></annotation>"""
)
BOMB = LAUGHS % b"".join(b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 10) for c in range(ord("b"), ord("z") + 1))
OUTSIDE = b'<!DOCTYPE annotation SYSTEM "file:///etc/passwd"><annotation><filename>a</filename></annotation>'


def changed(files: Files, path: str, change: Callable[[Any], None]) -> Files:
    data = json.loads(files[path])
    change(data)
    return files | {path: json.dumps(data).encode()}


def refused(folder: Path, files: Files) -> InvalidDataset:
    with pytest.raises(InvalidDataset) as caught:
        open_raw(archive(folder, files))
    assert caught.value.remedy
    return caught.value


# -- files that are not what they say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bomb", [BOMB, OUTSIDE, b"<annotation", b"\x89PNG\r\n\x1a\n", b"", b"<?xml version='1.0' encoding='x'?><a/>"]
)
def test_xml_that_is_none_or_a_bomb(bomb: bytes, tmp_path: Path) -> None:
    assert refused(tmp_path, voc(scenes()) | {XML: bomb}).details["file"] == XML


def test_an_xml_bomb_is_refused_before_it_grows() -> None:
    """In place of 10^25 letters: the parser stops at the document type."""
    with pytest.raises(InvalidDataset, match="document type"):
        voc_reader.parse(BOMB, "bomb.xml")


def test_a_large_xml_file_is_refused() -> None:
    with pytest.raises(InvalidDataset):
        voc_reader.parse(b"<annotation>" + b" " * voc_reader.MOST_BYTES + b"</annotation>", "large.xml")


@pytest.mark.parametrize(
    "data",
    [
        b'{"images": [',
        b'{"images": [1]}',
        b'{"images": [] "annotations": []}',
        b'{"images": []} {}',
        b'{"images": [{"id": 1}]}',
    ],
)
def test_json_that_is_no_coco(data: bytes, tmp_path: Path) -> None:
    assert refused(tmp_path, coco(scenes()) | {TRAIN: data}).details["file"] == TRAIN


@pytest.mark.parametrize(
    "text", ["cat 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1", "-1 0.5 0.5 0.1 0.1", "0.5 0.5 0.5 0.1 0.1", "\0\1"]
)
def test_yolo_lines_that_are_no_boxes(text: str, tmp_path: Path) -> None:
    path = "train/labels/train_000.txt"
    details = refused(tmp_path, yolo(scenes()) | {path: text.encode()}).details
    assert (details["file"], details["line"]) == (path, 1)


@pytest.mark.parametrize(
    "text", ["names: 3", "names: [a, a]", "names: [", "names: {cat: 0}", "names: []", "a: &a [*a]\nnames: *a"]
)
def test_yaml_that_names_no_classes(text: str, tmp_path: Path) -> None:
    assert "data.yaml" in refused(tmp_path, yolo(scenes()) | {"data.yaml": text.encode()}).message


@pytest.mark.parametrize("row", ["a.png,64,48,cat,1,2,3,many", "train_001.png,64,48,,1,2,3,4", ",64,48,cat,1,2,3,4"])
def test_rows_that_are_no_boxes(row: str, tmp_path: Path) -> None:
    files = table(scenes())
    files["images/train_labels.csv"] += f"{row.replace('a.png', 'train_001.png')}\n".encode()
    assert refused(tmp_path, files).details["row"] > 1


# -- names without things, things without names -----------------------------------------------------------------------


def test_images_that_are_not_there(tmp_path: Path) -> None:
    files = {path: data for path, data in coco(scenes()).items() if path != "train2017/train_000.png"}
    assert refused(tmp_path, files).details["first"] == ["train_000.png"]
    few = Limits(corrupt_fraction=0.1)
    assert any("train_000.png" in note for note in open_raw(archive(tmp_path, files), few).notes)


def test_label_files_of_images_that_are_not_there(tmp_path: Path) -> None:
    files = yolo(scenes()) | {"train/labels/gone.txt": b"0 0.5 0.5 0.1 0.1\n"}
    assert refused(tmp_path, files).details["first"] == ["train/labels/gone.txt"]


def test_xml_files_and_rows_of_images_that_are_not_there(tmp_path: Path) -> None:
    made = scenes()
    files = {path: data for path, data in voc(made).items() if not path.endswith("JPEGImages/train_001.png")}
    assert refused(tmp_path, files).details["first"] == [XML]
    files = {path: data for path, data in table(made).items() if not path.endswith("train_001.png")}
    assert refused(tmp_path, files).details["first"] == ["train_001.png"]


def test_images_that_nobody_names_are_counted(tmp_path: Path) -> None:
    extra = {"train2017/extra.png": scenes()[0].picture}
    assert any("train2017/extra.png" in note for note in open_raw(archive(tmp_path, coco(scenes()) | extra)).notes)


def test_categories_that_are_none(tmp_path: Path) -> None:
    def foreign(data: Any) -> None:
        data["annotations"][0]["category_id"] = 1000

    assert refused(tmp_path, changed(coco(scenes()), TRAIN, foreign)).details["categories"] == [1000]
    files = yolo(scenes()) | {"train/labels/train_000.txt": b"3 0.5 0.5 0.1 0.1\n"}
    assert refused(tmp_path, files).details["category"] == 3


def test_splits_must_mean_the_same_by_a_category(tmp_path: Path) -> None:
    made = scenes()
    files = coco(made)
    other = coco_json([s for s in made if s.split == "test"], (3, 17, 90), ("dog", "cat", "owl"))
    assert refused(tmp_path, files | {"annotations/instances_val2017.json": json.dumps(other).encode()}).details == {
        "category": 3
    }


def test_a_split_without_boxes_is_named(tmp_path: Path) -> None:
    """And not only the split that is left."""
    assert TRAIN in refused(tmp_path, changed(coco(scenes()), TRAIN, lambda data: data["annotations"].clear())).message


def test_annotations_of_images_without_an_entry(tmp_path: Path) -> None:
    def foreign(data: Any) -> None:
        data["annotations"][0]["image_id"] = 5555

    assert "5555" in refused(tmp_path, changed(coco(scenes()), TRAIN, foreign)).message


# -- boxes that are none ----------------------------------------------------------------------------------------------


def settled(
    rows: list[tuple[float, float, float, float]], form: Form = "pixels", size: tuple[int, int] = (100, 200)
) -> Any:
    """One image of (height, width) with boxes of one class; (boxes, faults)."""
    writer = Writer()
    image = writer.image()
    for row in rows:
        writer.box(image, row, 0)
    [found], faults, notes = settle([(writer.done(), np.array([(100, 200)]), lambda _: "a.png")], form)
    return found.of(0), {kind: fault.first for kind, fault in faults.items() if fault.count}, notes


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((30, 10, 20, 40), "inverted"),
        ((10, 40, 20, 30), "inverted"),
        ((10, 10, 10, 40), "empty"),
        ((10, 10, float("nan"), 40), "not_finite"),
        ((10, 10, float("inf"), 40), "not_finite"),
        ((200, 10, 220, 40), "outside"),
        ((-20, 10, 0, 40), "outside"),
        ((0.1, 0.2, 0.3, 0.4), "other_unit"),
    ],
)
def test_what_is_no_box_is_left_out_by_name(box: tuple[float, float, float, float], kind: str) -> None:
    found, faults, _ = settled([(5, 5, 50, 50), box])
    assert faults == {kind: ["a.png: box 2"]}
    assert found.corners.tolist() == [[5, 5, 50, 50]]


def test_boxes_end_with_their_image() -> None:
    found, faults, _ = settled([(-10, -0.01, 250, 100.01), (0, 0, 200, 100.01)])
    assert found.corners.tolist() == [[0, 0, 200, 100]] * 2
    assert faults == {"clipped": ["a.png: box 1"], "doubled": ["a.png: box 2"]}


def test_doubled_boxes_stay() -> None:
    found, faults, _ = settled([(5, 5, 50, 50), (1, 1, 2, 2), (5, 5, 50, 50)])
    assert len(found) == 3
    assert faults == {"doubled": ["a.png: box 3"]}


def test_shares_among_pixels_and_pixels_among_shares() -> None:
    with pytest.raises(InvalidDataset):
        settled([(0.1, 0.1, 0.5, 0.5), (0, 0, 1, 1)], "pixels")
    with pytest.raises(InvalidDataset):
        settled([(10, 10, 50, 50)], "shares")
    found, _, notes = settled([(0.1, 0.1, 0.5, 0.5), (0, 0, 1, 1)], "told")
    assert found.corners.tolist() == [[20, 10, 100, 50], [0, 0, 200, 100]]
    assert notes
    assert settled([(0.1, 0.1, 0.5, 0.5), (10, 10, 50, 50)], "shares")[1] == {"other_unit": ["a.png: box 2"]}


def test_sizes_are_not_taken_for_corners_where_they_fit() -> None:
    found, _, notes = settled([(10, 10, 20, 30), (50, 40, 60, 50)], "xywh")
    assert (found.corners.tolist(), notes) == ([[10, 10, 30, 40], [50, 40, 110, 90]], [])


def mixed(folder: Path) -> Raw:
    """A dataset with one of each fault among 200 boxes."""
    made = [Scene(f"{i:03d}", "train", (48, 64), ((1, 1, 20, 20, "cat"), (3, 3, 30, 30, "dog"))) for i in range(100)]
    odd = [(40, 9, 20, 30, "cat"), (60, 9, 80, 30, "cat"), (9, 9, 9, 30, "dog")]
    made = [replace(scene, boxes=(*scene.boxes, *odd[i : i + 1])) for i, scene in enumerate(made)]
    files = changed(coco(made), TRAIN, lambda data: data["annotations"][0].update(bbox=[float("nan"), 1, 2, 3]))
    return open_raw(archive(folder, files))


def test_faults_are_counted_and_named_in_the_notes(tmp_path: Path) -> None:
    raw = mixed(tmp_path)
    counts = {kind: fault.count for kind, fault in raw.faults.items() if fault.count}
    assert counts == {"not_finite": 1, "inverted": 1, "empty": 1, "clipped": 1}
    assert raw.boxes == 203
    assert len(raw.train.objects.boxes) + len(raw.test.objects.boxes) == 200
    for kind in counts:
        assert any(raw.faults[kind].first[0] in note for note in raw.notes)


HUGE = "9" * 400


def huge_coco(key: str) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        one = data["annotations"][0]
        one[key] = [0, 0, int(HUGE), 4] if key == "bbox" else int(HUGE)

    return change


def huge_rows(name: str, row: str, head: str = "") -> Files:
    plain = {path: data for path, data in table(scenes()).items() if path.endswith(".png")}
    return plain | {f"images/train{name}": f"{head}{row}\n".encode()}


HUGE_NUMBERS = {
    "coco": lambda: changed(coco(scenes()), TRAIN, huge_coco("bbox")),
    "voc": lambda: voc(scenes()) | {XML: voc(scenes())[XML].replace(b"<xmax>", f"<xmax>{HUGE}".encode(), 1)},
    "yolo": lambda: yolo(scenes()) | {"train/labels/train_000.txt": f"0 0.5 0.5 {HUGE} 0.1\n".encode()},
    "lines": lambda: huge_rows(
        ".jsonl", f'{{"filename": "train_000.png", "class": "a", "x1": 0, "y1": 0, "x2": {HUGE}, "y2": 4}}'
    ),
    "lists": lambda: huge_rows(".csv", f'train_000.png,a,"[0, 0, {HUGE}, 4]"', "filename,class,bbox\n"),
}


@pytest.mark.parametrize("form", HUGE_NUMBERS)
def test_whole_numbers_that_no_float_holds_are_infinite(form: str, tmp_path: Path) -> None:
    assert refused(tmp_path, HUGE_NUMBERS[form]()).details["count"] == 1


def stating(**said: Any) -> Files:
    """COCO's JSON whose first annotation states that too."""
    return changed(coco(scenes()), TRAIN, lambda data: data["annotations"][0].update(said))


@pytest.mark.parametrize("area", [int(HUGE), -4, 0, "big", float("nan"), True])
def test_an_area_that_is_none_is_named(area: Any, tmp_path: Path) -> None:
    found = open_raw(archive(tmp_path, stating(area=area, id="odd")))
    assert any("annotation odd" in note for note in found.notes)
    boxes = found.train.objects.boxes
    sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
    np.testing.assert_allclose(boxes.areas, sides.prod(1), rtol=1e-6)


MARKS: dict[str, Callable[[Any], Files]] = {
    "iscrowd": lambda value: stating(iscrowd=value),
    "ignore": lambda value: stating(ignore=value),
    "difficult": lambda value: (
        voc(scenes()) | {XML: voc(scenes())[XML].replace(b"<difficult>0", b"<difficult>%s" % str(value).encode(), 1)}
    ),
}


@pytest.mark.parametrize("key", MARKS)
def test_marks_are_read_as_numbers_truth_values_and_text(key: str, tmp_path: Path) -> None:
    for value, ignored in [(0, 0), (1, 1), ("0", 0), ("1", 1), (True, 1), (False, 0), ("false", 0), ("yes", 1)]:
        raw = open_raw(archive(tmp_path, MARKS[key](value)))
        assert sum(int(part.objects.boxes.ignored.sum()) for part in (raw.train, raw.test)) == ignored, value


@pytest.mark.parametrize("key", MARKS)
@pytest.mark.parametrize("value", ["perhaps", 7])
def test_a_mark_that_is_neither_nought_nor_one_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    assert refused(tmp_path, MARKS[key](value)).details["field"] == key


def test_corners_in_the_place_of_sizes_are_suspected(tmp_path: Path) -> None:
    """COCO's JSON with x1 y1 x2 y2: most boxes end beyond their image, and the notes say what that may mean."""

    def corners(data: Any) -> None:
        for each in data["annotations"]:
            x, y, width, height = each["bbox"]
            each["bbox"] = [x, y, x + width, y + height]

    def suspected(files: Files) -> bool:
        return any("x1 y1 x2 y2" in note for note in open_raw(archive(tmp_path, files)).notes)

    assert suspected(changed(coco(scenes()), TRAIN, corners))
    assert not suspected(coco(scenes()))


def test_a_refusal_does_not_say_that_something_was_left_out(tmp_path: Path) -> None:
    def shrink(data: Any) -> None:
        for each in data["annotations"]:
            each["bbox"] = [side / 100 for side in each["bbox"]]

    found = refused(tmp_path, changed(coco(scenes()), TRAIN, shrink))
    assert "were left out" not in found.message
    assert "another unit" in found.message


def test_long_names_are_cut_in_a_refusal(tmp_path: Path) -> None:
    """A refusal is read by people and kept with the dataset."""

    def rename(data: Any) -> None:
        data["images"][0]["file_name"] = "a" * 10**5

    found = refused(tmp_path, changed(coco(scenes()), TRAIN, rename))
    assert len(json.dumps([found.message, found.details])) < 1000


def test_too_many_faults_are_a_refusal(tmp_path: Path) -> None:
    def inverted(data: Any) -> None:
        data["annotations"][0]["bbox"] = [5, 5, -3, 2]

    assert refused(tmp_path, changed(coco(scenes()), TRAIN, inverted)).details["count"] == 1


def test_an_image_of_too_many_boxes(tmp_path: Path) -> None:
    files = yolo(scenes()) | {"train/labels/train_000.txt": b"0 0.5 0.5 0.1 0.1\n" * (MOST_OF_AN_IMAGE + 1)}
    assert f"{MOST_OF_AN_IMAGE:,}" in refused(tmp_path, files).message


def test_lists_of_different_lengths_and_foreign_categories(tmp_path: Path) -> None:
    dataset = parquet(scenes(), tmp_path)
    path = Path(dataset.files["all"])
    whole = pq.read_table(path)
    for objects in ({"bbox": [[1, 2, 3, 4]], "category": [0, 1]}, {"bbox": [[1, 2, 3, 4]], "category": [3]}):
        rows = whole.to_pylist()
        rows[0]["objects"] = objects
        pq.write_table(whole.from_pylist(rows, whole.schema), path)
        with pytest.raises(InvalidDataset):
            open_raw(dataset)


def test_images_that_are_none(tmp_path: Path) -> None:
    files = coco(scenes()) | {"train2017/train_000.png": b"no image"}
    assert "train_000.png" in refused(tmp_path, files).message


def test_a_split_without_boxes(tmp_path: Path) -> None:
    made = [replace(scene, boxes=() if scene.split == "test" else scene.boxes) for scene in scenes()]
    assert refused(tmp_path, voc(made)).details == {"split": "test"}


# -- anything at all --------------------------------------------------------------------------------------------------

ODD = (b"NaN", b"1e999", b"null", b"[[[", b"<!", b"-", b"{}")
PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "xml": (lambda data: voc_reader.parse(data, "a"), voc(scenes())[XML]),
    "json": (lambda data: coco_reader.parse(data, "a").check(), coco(scenes(3))[TRAIN]),
    "yolo": (lambda data: list(yolo_reader.parse(data.decode("latin-1"), "a")), b"0 0.5 0.25 1e-2 .5\n2 1 1 1 1\n"),
    "yaml": (lambda data: yolo_reader.configuration(data, ("a.yaml",)), yolo(scenes())["data.yaml"]),
}


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_parsers_refuse_or_read(name: str, data: st.DataObject) -> None:
    """A good file with a piece replaced by anything."""
    parse, good = PARSERS[name]
    at, length = data.draw(st.integers(0, len(good))), data.draw(st.integers(0, 20))
    piece = data.draw(st.one_of(st.binary(max_size=12), st.sampled_from(ODD)))
    with suppress(InvalidDataset):
        parse(good[:at] + piece + good[at + length :])
