"""The curve as CSV, SVG, PNG and text: complete, partial and empty; with errors, pooled layers and choices."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from distill.curve import reading, to_csv, to_png, to_svg
from distill.curve.interpretation import rises_to_the_end, turning_point
from distill.selection import choose, names, registry
from distill.types import LayerQuality, QCurve

ERRORS = {"separation": 0.01, "information": 0.02, "efficiency": 0.03, "quality": 0.04}


def make(quality=(1.0, 1.4, 1.2, 1.1), information=(1.0, 2.0, 1.5, 1.2), total=None, errors=None, pooled=False):
    count = total or len(quality)
    layers = tuple(
        LayerQuality(
            *(f"layer{i}.0", i, (i + 1) / count, "block", (64, 8, 8), 0.1 * i, info, 0.5, q, 0.3, 2.0, 3.0, 9.0),
            pooled=pooled,
            standard_error=errors,
        )
        for i, (q, info) in enumerate(zip(quality, information, strict=True))
    )
    return QCurve(layers, count, 5000, 10, 50_000, 0)


PARTIAL = make(total=9)
EMPTY = QCurve((), 9, 5000, 10, 50_000, 0)
COMPLETE = choose(make(errors=ERRORS), "auto", 2)


def test_csv_has_a_row_a_layer_and_full_precision():
    rows = list(csv.DictReader(io.StringIO(to_csv(replace(COMPLETE, chosen=(1, 3))))))
    assert [row["chosen"] for row in rows] == ["false", "true", "false", "true"]
    assert rows[1]["shape"] == "64x8x8"
    assert float(rows[2]["separation"]) == COMPLETE.layers[2].separation
    assert float(rows[0]["quality_standard_error"]) == 0.04
    assert next(csv.DictReader(io.StringIO(to_csv(PARTIAL))))["quality_standard_error"] == ""
    assert len(to_csv(EMPTY).splitlines()) == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_name_in_the_csv_is_a_formula_and_no_number_becomes_text(start):
    layer = replace(COMPLETE.layers[0], name=f"{start}1", kind=f"{start}2", separation=-0.5)
    text = to_csv(replace(COMPLETE, layers=(layer,)))
    row = next(csv.DictReader(io.StringIO(text, newline="")))
    assert (row["name"], row["kind"], float(row["separation"])) == (f"'{start}1", f"'{start}2", -0.5)


@pytest.mark.parametrize("curve", [COMPLETE, PARTIAL, EMPTY, make(quality=(1.0,), information=(1.0,))])
def test_pictures_are_well_formed_and_the_same_each_time(curve):
    svg = to_svg(curve)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert svg == to_svg(curve)
    png = to_png(curve, dpi=40)
    assert png.startswith(b"\x89PNG")
    assert png == to_png(curve, dpi=40)


def test_the_picture_names_the_chosen_layers_and_the_four_quantities():
    svg = to_svg(replace(COMPLETE, chosen=(1, 3)))
    assert all(word in svg for word in ("layer1.0", "layer3.0", "Separation", "Information", "Efficiency", "Quality"))
    assert "layer2.0" not in svg


def test_names_with_markup_are_text():
    layer = replace(COMPLETE.layers[1], name="<script>&$x$")
    curve = replace(COMPLETE, layers=(COMPLETE.layers[0], layer, *COMPLETE.layers[2:]), chosen=(1,))
    assert "<script>" not in to_svg(curve)


def test_pictures_leave_matplotlibs_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    to_svg(COMPLETE)
    assert dict(matplotlib.rcParams) == before


def test_the_reading_says_where_extraction_turns_into_compression():
    assert turning_point(COMPLETE.layers) is COMPLETE.layers[1]
    assert "Extraction turns into compression at layer 1 (layer1.0" in reading(COMPLETE)
    assert turning_point(make(information=(1.0, 2.0, 3.0, 4.0)).layers) is None
    assert "highest at one end" in reading(make(information=(1.0, 2.0, 3.0, 4.0)))


@pytest.mark.parametrize("rule", [rule for rule in names() if rule != "explicit"])
def test_the_reading_says_what_was_chosen_and_why(rule):
    curve = choose(make(), rule, 2)
    assert registry.summary(rule).rstrip(".") in reading(curve)
    assert all(f"layer{i}.0" in reading(curve) for i in curve.chosen)


def test_a_choice_by_no_rule_is_said_to_be_a_list():
    assert "A list of layers" in reading(replace(make(), chosen=(1,), rule="teacher_layers"))


def test_the_reading_warns_when_quality_rises_to_the_last_layer():
    rising = make(quality=(1.0, 1.2, 1.199, 1.5))
    assert rises_to_the_end(rising)
    assert "Warning" in reading(rising)
    assert not rises_to_the_end(make())
    assert not rises_to_the_end(make(quality=(1.0, 1.3, 1.1, 1.5)))
    assert not rises_to_the_end(make(quality=(1.0,) * 4))
    assert "Warning" not in reading(make(quality=(1.0, 1.2, 1.3, 1.5), total=9))


def test_partial_empty_pooled_and_uncertain_curves_are_said_to_be_so():
    assert "partial: 4 of 9" in reading(PARTIAL)
    assert "No layer has been scored yet" in reading(EMPTY)
    assert "Layers 0, 1, 2, 3 did not fit" in reading(make(pooled=True))
    assert "standard error of Q is at most 0.04" in reading(COMPLETE)
    assert "reused" in reading(replace(COMPLETE, reused=True))


def test_the_package_loads_neither_torch_nor_matplotlib():
    code = "import sys; import distill.curve; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
