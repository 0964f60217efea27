"""What mask values mean, whatever the file that says it and the form of the masks."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.errors import InvalidDataset
from distill.tasks.segment_images.legend import IGNORED, unnamed, voc_colour
from distill.tasks.segment_images.masks import classes_of, read_mask
from distill.tasks.segment_images.naming import READERS, read_legend
from distill.tasks.segment_images.opening import open_raw
from tests.segmentation.shapes import archive, files, picture, png

COLOURS = [(128, 128, 128), (128, 0, 0), (0, 0, 0)]
FILES = {
    "classes.txt": "sky\ntree\nvoid\n",
    "labels.txt": "0: sky\n1: tree\n2: void\n",
    "label_colors.txt": "128 128 128\tsky\n128 0 0\ttree\n0 0 0\tVoid\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nsky:128,128,128::\ntree:128,0,0::\nvoid:0,0,0::\n",
    "class_dict.csv": "name,r,g,b\nsky,128,128,128\ntree,128,0,0\nVoid,0,0,0\n",
    "_classes.csv": "Pixel Value, Class\n0, sky\n1, tree\n2, void\n",
    "classes.json": json.dumps({"classes": ["sky", {"name": "tree", "color": [128, 0, 0]}], "ignore": [2, 255]}),
    "labels.json": json.dumps(["sky", "tree", "void"]),
    "id2label.json": json.dumps({"0": "sky", "1": "tree", "2": "void"}),
    "label_colors.json": json.dumps({"sky": "#808080", "tree": [128, 0, 0], "void": [0, 0, 0]}),
}


def test_every_reader_is_tried() -> None:
    assert set(FILES) == set(READERS)


@pytest.mark.parametrize("name", FILES)
def test_files_of_classes(name: str) -> None:
    legend = read_legend(name, FILES[name].encode())
    assert legend.classes == ("sky", "tree")
    assert [legend.values[value] for value in (0, 1, 2, 255)] == [0, 1, IGNORED, IGNORED]
    if legend.colours and name != "classes.json":
        values = np.array([[r << 16 | g << 8 | b for r, g, b in COLOURS]], np.int32)
        assert legend.numbers(values, True).tolist() == [[0, 1, IGNORED]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "only\n"),
        ("classes.txt", "a\na\n"),
        ("classes.txt", "a\nb\x07\n"),
        ("label_colors.txt", "1 2 sky\n"),
        ("label_colors.txt", "1 2 3 a\n1 2 3 b\n"),
        ("label_colors.txt", "1 2 300 a\n1 2 3 b\n"),
        ("classes.json", "{"),
        ("classes.json", "3"),
        ("classes.json", '[{"value": 1}]'),
        ("classes.json", '{"classes": ["a", {"name": "b", "value": true}]}'),
        ("classes.json", '{"classes": ["a", {"name": "b", "value": 0}]}'),
        ("class_dict.csv", "name,r,g,b\nsky,1,2\n"),
    ],
)
def test_bad_files_of_classes(name: str, text: str) -> None:
    with pytest.raises(InvalidDataset) as caught:
        read_legend(name, text.encode())
    assert name in str(caught.value) or "classes" in str(caught.value)


VALUES = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


@pytest.mark.parametrize("form", ["grey", "palette", "16 bit", "rgb of grey", "colours", "palette of colours", "tiff"])
def test_forms_of_masks(form: str) -> None:
    legend = read_legend("label_colors.txt", FILES["label_colors.txt"].encode())
    rgb = np.array(COLOURS, np.uint8)[VALUES]
    own = Image.fromarray(VALUES + 7, "P")  # its own numbers: only its colours tell
    own.putpalette([0] * 21 + [channel for colour in COLOURS for channel in colour])
    data = {
        "grey": lambda: png(VALUES),
        "palette": lambda: png(VALUES, palette=True),
        "16 bit": lambda: encoded(Image.fromarray(VALUES.astype(np.uint16))),
        "rgb of grey": lambda: encoded(Image.fromarray(np.repeat(VALUES[:, :, None], 3, 2))),
        "colours": lambda: encoded(Image.fromarray(rgb)),
        "palette of colours": lambda: encoded(own),
        "tiff": lambda: encoded(Image.fromarray(VALUES), "TIFF"),
    }[form]()
    legend = replace(legend, by_colour=form == "palette of colours")  # as opening the dataset finds out
    colours = form != "rgb of grey"  # a dataset without colours reads it as grey
    found = classes_of(read_mask(data, "m", colours), legend, "m")
    assert found.tolist() == [[0, 1, IGNORED], [IGNORED, 1, 0]]


def test_a_table_of_colours_as_spreadsheets_write_it() -> None:
    quoted = '"name","r","g","b"\n"sky, clear",128,128,128\n"tree",128,0,0\n'
    assert read_legend("class_dict.csv", quoted.encode()).classes == ("sky, clear", "tree")
    assert read_legend("class_dict.csv", b"sky,128,128,128\ntree,128,0,0\n").classes == ("sky", "tree")


ORDERS = {"the legend's": (0, 1, 2), "another": (2, 0, 1), "another in every mask": None}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("void", [False, True])
def test_a_palette_that_numbers_colours_in_its_own_order(order: str, void: bool, tmp_path: Path) -> None:
    """What Pillow's adaptive palettes and GIF writers do: the file of classes says which colour is which class."""
    content = {path: data for path, data in files(6).items() if path.startswith("images")}
    truth = [picture(i, void=void)[1] for i in range(6)]
    for i, mask in enumerate(truth):
        places = ORDERS[order] or ((0, 1, 2), (2, 0, 1))[i % 2]  # of colour k in the palette: places.index(k)
        own = Image.fromarray(np.array([places.index(k) for k in range(3)] + [255] * 253, np.uint8)[mask], "P")
        own.putpalette([channel for k in places for channel in COLOURS[k]] + [0] * 756 + [224, 224, 192])
        content[f"masks/{i:03d}.png"] = encoded(own)
    names = "128 128 128 sky\n128 0 0 tree\n0 0 0 sea\n"
    raw = open_raw(archive(tmp_path, content | {"label_colors.txt": names.encode()}))
    for split in (raw.train, raw.test):
        for row in range(len(split)):
            number = int(split.images.name(row)[-7:-4])
            assert np.array_equal(
                split.masks.classes(row), np.where(truth[number] == 255, IGNORED, truth[number].astype(np.int16))
            )
            assert split.pixels[row].tolist() == [(truth[number] == c).sum() for c in range(3)]


def test_palettes_that_differ_are_refused_where_no_file_names_the_classes(tmp_path: Path) -> None:
    content = files(6)
    for i in range(6):
        own = Image.fromarray(picture(i, void=False)[1], "P")
        own.putpalette([channel for k in ((0, 1, 2), (2, 0, 1))[i % 2] for channel in COLOURS[k]])
        content[f"masks/{i:03d}.png"] = encoded(own)
    with pytest.raises(InvalidDataset):
        open_raw(archive(tmp_path, content))
    raw = open_raw(archive(tmp_path, content | {"classes.txt": b"sky\ntree\nsea\n"}))
    assert any("masks/001.png" in note for note in raw.notes)


def test_a_colour_that_no_class_has_is_refused_where_numbers_are_out_of_order(tmp_path: Path) -> None:
    content = files(4)
    for i in range(4):
        own = Image.fromarray(picture(i, void=False)[1], "P")
        own.putpalette([0, 0, 0, 1, 2, 3, 128, 0, 0])
        content[f"masks/{i:03d}.png"] = encoded(own)
    with pytest.raises(InvalidDataset) as caught:
        open_raw(archive(tmp_path, content | {"label_colors.txt": b"128 128 128 sky\n128 0 0 tree\n0 0 0 sea\n"}))
    assert caught.value.details["values"] == [1 << 16 | 2 << 8 | 3]


def test_sixteen_bit_values_beyond_a_byte() -> None:
    values = np.array([[0, 300], [1000, 65535]], np.uint16)
    assert read_mask(encoded(Image.fromarray(values)), "m").values.tolist() == values.tolist()


def test_masks_that_nobody_explains() -> None:
    assert unnamed([0, 1, 3, 255]).classes == ("0", "1", "2", "3")
    assert unnamed([0, 255]).classes == ("background", "foreground")
    for values in ([0, 100, 200], [255], [], [0]):
        with pytest.raises(InvalidDataset):
            unnamed(values)


def test_voc_colours() -> None:
    assert [voc_colour(i) for i in (0, 1, 2, 3, 15, 20)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (192, 128, 128), (0, 64, 128),
    ]  # fmt: skip


def test_a_palette_in_the_masks_is_the_datasets(tmp_path: Path) -> None:

    content = {
        path: png(np.asarray(Image.open(io.BytesIO(data))), palette=True) if "masks" in path else data
        for path, data in files(4).items()
    }
    raw = open_raw(archive(tmp_path, content | {"classes.txt": b"x\ny\nz\n"}))
    assert raw.legend.coloured() == (voc_colour(0), voc_colour(1), voc_colour(2))
