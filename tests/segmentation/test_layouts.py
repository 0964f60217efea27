"""Every layout of images and masks gives the same pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.errors import InvalidDataset
from distill.tasks.inspection import task_of
from distill.tasks.segment_images.opening import Raw, open_raw
from distill.tasks.segment_images.pairing import is_paired
from distill.types import DatasetInput
from tests.data.files import tree, write_folder, write_tar, write_zip
from tests.segmentation.shapes import CLASSES, picture, png

TRAIN, TEST = range(4), range(10, 12)
Files = dict[str, bytes]
NAMES = {"classes.txt": "\n".join(CLASSES).encode()}


def laid(image: str, mask: str, splits: dict[str, str] | None = None) -> Files:
    """`image` and `mask` are paths with `{split}` and `{stem}`."""
    splits = splits or {"train": "train", "test": "test"}
    found: Files = {}
    for split, numbers in (("train", TRAIN), ("test", TEST)):
        for i in numbers:
            rgb, classes = picture(i)
            found[image.format(split=splits[split], stem=f"{i:03d}")] = png(rgb)
            found[mask.format(split=splits[split], stem=f"{i:03d}")] = png(classes, palette=i % 2 == 0)
    return found


def voc() -> Files:
    top = "VOCdevkit/VOC2012"
    found = laid(f"{top}/JPEGImages/{{stem}}.png", f"{top}/SegmentationClass/{{stem}}.png")
    lists = {"train": TRAIN, "val": TEST}
    for name, numbers in lists.items():
        found[f"{top}/ImageSets/Segmentation/{name}.txt"] = "".join(f"{i:03d}\n" for i in numbers).encode()
    found[f"{top}/ImageSets/Segmentation/trainval.txt"] = b"000\n001\n"
    return found | {f"{top}/Annotations/000.xml": b"<annotation/>"}


def cityscapes() -> Files:
    image = "leftImg8bit_trainvaltest/leftImg8bit/{split}/aachen/{stem}_leftImg8bit.png"
    mask = "gtFine_trainvaltest/gtFine/{split}/aachen/{stem}_gtFine_labelIds.png"
    found = laid(image, mask, {"train": "train", "test": "val"})
    colours = {path.replace("labelIds", "color"): data for path, data in found.items() if "labelIds" in path}
    return found | colours | {"gtFine_trainvaltest/gtFine/train/aachen/000_gtFine_polygons.json": b"{}"}


def roboflow(heads: str) -> Files:
    found = laid("{split}/{stem}_jpg.rf.1.png", "{split}/{stem}_jpg.rf.1_mask.png", {"train": "train", "test": "valid"})
    rows = "".join(f"{value}, {name}\n" for value, name in enumerate(CLASSES))
    return found | {f"{split}/_classes.csv": (heads + rows).encode() for split in ("train", "valid")}


LAYOUTS: dict[str, Callable[[], Files]] = {
    "split above": lambda: laid("{split}/images/{stem}.png", "{split}/masks/{stem}.png"),
    "split below": lambda: laid("data/images/{split}/{stem}.png", "data/annotations/{split}/{stem}.png"),
    "suffix": lambda: laid("{split}/imgs/{stem}.png", "{split}/labels/{stem}_mask.png"),
    "camvid": lambda: laid("CamVid/{split}/{stem}.png", "CamVid/{split}annot/{stem}.png"),
    "kaggle": lambda: laid("{split}/{stem}.png", "{split}_labels/{stem}_L.png"),
    "voc": voc,
    "voc, main lists": lambda: {
        path.replace("ImageSets/Segmentation", "ImageSets/Main"): d for path, d in voc().items()
    },
    "nnU-Net": lambda: laid(
        "Task/images{split}/{stem}.png", "Task/labels{split}/{stem}.png", {"train": "Tr", "test": "Ts"}
    ),
    "roboflow": lambda: roboflow("Pixel Value, Class\n"),
    "cityscapes": cityscapes,
}


def opened(files: Files, folder: Path, kind: str = "archive") -> Raw:
    return open_raw(DatasetInput(kind=kind, name="d", files={"all": str(written(files, folder, kind))}))


def written(files: Files, folder: Path, kind: str) -> Path:
    return write_folder(folder / "d", files) if kind == "folder" else write_zip(folder / "d.zip", files)


def check(raw: Raw) -> None:
    assert (len(raw.train), len(raw.test)) == (4, 2)
    for split, numbers in ((raw.train, TRAIN), (raw.test, TEST)):
        for row, i in enumerate(numbers):
            rgb, mask = picture(i)
            assert np.array_equal(np.asarray(split.images.image(row)), rgb)
            assert np.array_equal(split.masks.classes(row), np.where(mask == 255, -100, mask.astype(np.int16)))
            assert split.pixels[row].tolist() == [int((mask == c).sum()) for c in range(3)]
            assert split.unlabelled[row] == (mask == 255).sum()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, tmp_path: Path) -> None:
    check(opened(LAYOUTS[layout]() | NAMES, tmp_path))


def test_folder_and_tar(tmp_path: Path) -> None:
    files = LAYOUTS["split above"]() | NAMES
    check(opened(files, tmp_path, "folder"))
    for mode in ("w", "w:gz"):
        path = write_tar(tmp_path / f"d.{mode[2:] or 'tar'}", files, mode)
        raw = open_raw(DatasetInput(kind="archive", name="d", files={"all": str(path)}), scratch=tmp_path)
        check(raw)
        assert raw.classes == CLASSES


def test_two_archives(tmp_path: Path) -> None:
    def part(numbers: range) -> Files:
        pairs = ((i, *picture(i)) for i in numbers)
        return {f"{kind}/{i:03d}.png": png(p) for i, rgb, m in pairs for kind, p in (("images", rgb), ("masks", m))}

    paths = {
        "train": str(write_zip(tmp_path / "a.zip", part(TRAIN) | NAMES)),
        "test": str(write_zip(tmp_path / "b.zip", part(TEST))),
    }
    check(open_raw(DatasetInput(kind="archive", name="d", files=paths)))


def test_parquet(tmp_path: Path) -> None:
    paths = {}
    for split, numbers in (("train", TRAIN), ("test", TEST)):
        pairs = [picture(i) for i in numbers]
        images = pa.array([{"bytes": png(rgb), "path": ""} for rgb, _ in pairs])
        table = pa.table({"image": images, "annotation": pa.array([png(mask) for _, mask in pairs])})
        paths[split] = str(tmp_path / f"{split}.parquet")
        pq.write_table(table, paths[split])
    dataset = DatasetInput(kind="parquet", name="d", files=paths)
    assert task_of(dataset) == "segment_images"
    check(open_raw(dataset))


def rows(numbers: list[int], image: str = "image", mask: str = "mask", **columns: list[object]) -> pa.Table:
    pairs = [picture(i) for i in numbers]
    images = pa.array([{"bytes": png(rgb), "path": ""} for rgb, _ in pairs])
    return pa.table({image: images, mask: pa.array([png(classes) for _, classes in pairs]), **columns})


def opened_parquet(table: pa.Table, folder: Path, role: str = "all") -> Raw:
    pq.write_table(table, folder / "d.parquet")
    return open_raw(DatasetInput(kind="parquet", name="d", files={role: str(folder / "d.parquet")}))


@pytest.mark.parametrize(
    "split",
    [
        {"split": ["train"] * 4 + ["test"] * 2},
        {"Subset": ["Training"] * 4 + ["val"] * 2},
        {"is_test": [False] * 4 + [True] * 2},
    ],
)
def test_a_split_column_divides_parquet(split: dict[str, list[object]], tmp_path: Path) -> None:
    raw = opened_parquet(rows([*TRAIN, *TEST], "Image", "Mask", **split, weather=["dry"] * 6), tmp_path)
    check(raw)
    assert any("'weather'" in note for note in raw.notes)


def test_rows_of_parquet_that_are_not_used_are_counted(tmp_path: Path) -> None:
    said = ["train"] * 4 + ["test"] * 2 + ["val"] * 3 + ["unlabeled"]
    raw = opened_parquet(rows([*TRAIN, *TEST, 20, 21, 22, 23], split=said), tmp_path)
    check(raw)
    assert [note.split()[2] for note in raw.notes if note.startswith("Not used")] == ["1", "3"]


@pytest.mark.parametrize("said", [["test"] * 4, ["train", "test"] * 2])
def test_rows_of_a_training_file_that_are_held_out_are_refused(said: list[object], tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset):
        opened_parquet(rows([*TRAIN], split=said), tmp_path, "train")


def test_parquet_with_paths_and_no_bytes_is_refused_by_its_row(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    there = [{"bytes": png(picture(i)[1]), "path": None} for i in range(3)]
    with pytest.raises(InvalidDataset) as caught:
        opened_parquet(
            rows([0, 1, 2, 3]).set_column(1, "mask", pa.array([*there, {"bytes": None, "path": "m.png"}], kind)),
            tmp_path,
        )
    assert caught.value.details["row"] == 3
    assert "m.png" in caught.value.message


def listed(**lists: str) -> Files:
    found = {path: data for path, data in voc().items() if "ImageSets" not in path}
    return found | {
        f"VOCdevkit/VOC2012/ImageSets/Segmentation/{name}.txt": text.encode() for name, text in lists.items()
    }


LISTS: dict[str, dict[str, str]] = {
    "paths": {
        "train": "".join(f"/JPEGImages/{i:03d}.png /SegmentationClass/{i:03d}.png\n" for i in TRAIN),
        "val": "".join(f"/JPEGImages/{i:03d}.png /SegmentationClass/{i:03d}.png\n" for i in TEST),
    },
    "byte order mark": {"train": "\ufeff000\r\n001\r\n002\r\n003\r\n", "val": "010\r\n011\r\n"},
    "one in both": {"train": "000\n001\n002\n003\n010\n", "val": "010\n011\n"},
    "one that is not there": {"train": "000\n001\n002\n003\n404\n", "val": "010\n011\n"},
}


@pytest.mark.parametrize("form", LISTS)
def test_lists_of_splits(form: str, tmp_path: Path) -> None:
    raw = opened(listed(**LISTS[form]) | NAMES, tmp_path)
    check(raw)
    named = {"one in both": "010", "one that is not there": "404"}.get(form)
    assert [note.rstrip(".").split()[-1] for note in raw.notes] == ([named] if named else [])


def test_lists_that_were_made_for_another_task_are_named(tmp_path: Path) -> None:
    raw = opened(LAYOUTS["voc, main lists"]() | NAMES, tmp_path)
    assert "ImageSets/Main" in raw.notes[0]


def test_roboflows_table_names_the_classes_by_their_value(tmp_path: Path) -> None:
    raw = opened(LAYOUTS["roboflow"](), tmp_path)
    check(raw)
    assert raw.classes == CLASSES
    path = str(write_zip(tmp_path / "told.zip", LAYOUTS["roboflow"]()))
    assert task_of(DatasetInput(kind="archive", name="d", files={"all": path})) == "segment_images"


def test_lists_that_name_no_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset) as caught:
        opened(listed(train="a\nb\n", val="c\n"), tmp_path)
    assert caught.value.details["names"] == ["c", "a", "b"]


def test_no_test_split_is_held_out_by_rarest_class(tmp_path: Path) -> None:
    files = {path.split("/", 1)[1]: data for path, data in LAYOUTS["split above"]().items()}
    raw = opened(files, tmp_path)
    assert len(raw.train) + len(raw.test) == 6
    assert any("held out" in note for note in raw.notes)


def test_what_is_not_used_is_named(tmp_path: Path) -> None:
    files = LAYOUTS["split above"]()
    rgb, mask = picture(50)
    files |= {"train/images/alone.png": png(rgb), "train/masks/lost.png": png(mask), "val/images/050.png": png(rgb)}
    files |= {"val/masks/050.png": png(mask)}
    raw = opened(files, tmp_path)
    check(raw)
    assert raw.unmasked == ("train/images/alone.png",)
    told = " ".join(raw.notes)
    assert "train/images/alone.png" in told
    assert "train/masks/lost.png" in told
    assert "'validation'" in told


def test_the_task_is_told_by_the_layout(tmp_path: Path) -> None:
    masks = DatasetInput(
        kind="archive", name="d", files={"all": str(write_zip(tmp_path / "m.zip", LAYOUTS["camvid"]()))}
    )
    classes = DatasetInput(
        kind="archive", name="d", files={"all": str(write_zip(tmp_path / "c.zip", tree() | tree(split="images")))}
    )
    assert task_of(masks) == "segment_images"
    assert task_of(classes) == "classify_images"


def test_class_folders_are_no_pairs() -> None:
    assert not is_paired([])
