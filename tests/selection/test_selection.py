"""Selection rules: every entry of the registry, the ablations, the anchor and the student's side."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from distill import selection
from distill.errors import InvalidConfig, UnknownName
from distill.types import Layer, LayerQuality, QCurve

PILOT_Q = (1.53, 1.65, 1.73, 1.95, 1.80, 1.86, 1.74)


def make_curve(quality=PILOT_Q, separation=None, information=None, efficiency=None, total=None):
    count = len(quality)
    separation = separation or tuple(0.1 * i for i in range(count))
    information, efficiency = information or (1.0,) * count, efficiency or (1.0,) * count
    layers = tuple(
        LayerQuality(f"layer{i}", i, (i + 1) / count, "block", (8,), s, n, e, q, 0.1, 1.0, 1.0, 1.0)
        for i, (q, s, n, e) in enumerate(zip(quality, separation, information, efficiency, strict=True))
    )
    return QCurve(layers, total or count, 100, 10, 1000, 0)


RULES = [name for name in selection.names() if name != "explicit"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", range(1, 8))
def test_every_rule_gives_k_indices_in_depth_order(rule, k):
    chosen = selection.get(rule)(make_curve(), k)
    assert len(chosen) == k == len(set(chosen))
    assert list(chosen) == sorted(chosen)
    assert set(chosen) <= set(range(7))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("k", [0, 8])
def test_more_layers_than_there_are_is_an_error(rule, k):
    with pytest.raises(InvalidConfig, match="has 7"):
        selection.get(rule)(make_curve(), k)


@pytest.mark.parametrize("rule", selection.names())
def test_every_rule_has_a_summary_and_refuses_a_partial_curve(rule):
    assert selection.registry.summary(rule).endswith(".")
    parameters = {"layers": [0]} if rule == "explicit" else {}
    with pytest.raises(InvalidConfig, match="partial"):
        selection.get(rule)(make_curve(total=9), 2, **parameters)


def test_top_q_is_the_literal_rule():
    assert selection.get("top_q")(make_curve(), 3) == (3, 4, 5)


def test_ties_go_to_the_deeper_layer():
    assert selection.get("top_q")(make_curve((1.0, 2.0, 2.0, 2.0)), 2) == (2, 3)


def test_ablations_rank_by_their_own_value():
    up, down = (1.0, 2.0, 3.0, 4.0), (16.0, 8.0, 2.0, 1.0)
    curve = make_curve((0.0,) * 4, separation=(0.4, 0.1, 0.2, 0.3), information=up, efficiency=down)
    assert selection.get("top_s")(curve, 2) == (0, 3)
    assert selection.get("top_i")(curve, 2) == (2, 3)
    assert selection.get("top_e")(curve, 2) == (0, 1)
    assert selection.get("top_ie")(curve, 2) == (0, 1)  # products 16 16 6 4


def test_standard_layers_are_the_pilots():
    assert selection.get("even")(make_curve(), 3) == (2, 4, 6)
    assert selection.get("last")(make_curve(), 3) == (4, 5, 6)


def test_anchored_keeps_the_deep_end():
    assert selection.get("anchored")(make_curve(), 3) == (3, 5, 6)
    assert selection.get("auto")(make_curve(), 3) == (3, 5, 6)


def test_the_anchor_is_the_layer_of_highest_separation_and_the_deepest_where_possible():
    curve = make_curve(separation=(0.0, 0.1, 0.2, 0.3, 0.9, 0.3, 0.2))
    assert selection.get("anchored")(curve, 3) == (2, 3, 4)
    assert selection.get("anchored")(make_curve(separation=(0.0, 0.9) + (0.1,) * 5), 4) == (0, 1, 3, 5)


def curve_of(kinds, shapes, quality, separation=None):
    curve = make_curve(quality, separation)
    layers = zip(curve.layers, kinds, shapes, strict=True)
    return replace(curve, layers=tuple(replace(layer, kind=kind, shape=shape) for layer, kind, shape in layers))


RESNET = ["stem", *["block"] * 6, "flatten"]
MAPS = [(8, 32, 32)] * 3 + [(16, 16, 16)] * 2 + [(32, 8, 8)] * 2 + [(32,)]


def test_the_block_anchor_is_the_deepest_block_and_not_the_pooled_feature():
    curve = curve_of(RESNET, MAPS, (1.0, 1.1, 1.2, 1.9, 1.8, 1.3, 1.0, 2.0))
    assert selection.get("anchored_block")(curve, 3) == (3, 4, 6)
    assert selection.get("anchored_block")(curve, 8) == tuple(range(8))
    plain = curve_of(["activation"] * 4 + ["flatten"] + ["activation"] * 3, MAPS, (*PILOT_Q, 2.0))
    assert selection.get("anchored_block")(plain, 2) == (2, 3)
    assert selection.get("anchored_block")(plain, 5) == (0, 1, 2, 3, 7)


def test_the_unpooled_anchor_passes_over_layers_that_only_pool():
    separation = (0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.5, 0.9)
    pooled = curve_of([*RESNET[:-1], "pooled"], MAPS, (1.0, 1.1, 1.2, 1.9, 1.8, 1.3, 1.0, 0.5), separation)
    assert selection.get("anchored")(pooled, 3) == (3, 4, 7)
    assert selection.get("anchored_unpooled")(pooled, 3) == (3, 4, 6)
    plain = curve_of(["activation"] * 5 + ["flatten"] + ["activation"] * 2, MAPS, (*PILOT_Q, 0.5), separation)
    assert selection.get("anchored_unpooled")(plain, 3) == selection.get("anchored")(plain, 3) == (3, 5, 7)
    only = curve_of(["pooled"] * 8, MAPS, (*PILOT_Q, 0.5), separation)
    assert selection.get("anchored_unpooled")(only, 1) == (7,)


def test_bands_take_the_best_of_each_third():
    curve = curve_of(RESNET, MAPS, (1.0, 1.9, 1.2, 1.1, 1.8, 1.3, 1.0, 2.0), (0.1,) * 6 + (0.6, 0.5))
    assert selection.get("banded")(curve, 3) == (1, 4, 6)  # bands 0-2, 3-5, 6-7
    assert selection.get("banded")(curve, 1) == (6,)


def test_one_layer_of_every_resolution():
    quality, separation = (1.0, 1.9, 1.2, 1.1, 1.8, 1.3, 1.9, 2.0), (0.1,) * 5 + (0.7, 0.6, 0.9)
    curve = curve_of(RESNET, MAPS, quality, separation)
    rule = selection.get("per_resolution")
    assert rule(curve, 3) == (1, 4, 5)
    assert rule(curve, 2) == (4, 5)
    assert rule(curve, 5) == (1, 2, 4, 5, 6)
    assert rule(curve, 8) == tuple(range(8))
    last = curve_of(RESNET, [m[1:] + m[:1] if len(m) == 3 else m for m in MAPS], quality, separation)
    assert rule(last, 3) == (1, 4, 5)  # channels last


def test_a_network_of_one_resolution_keeps_its_most_separating_layer():
    curve = curve_of(["block"] * 7, [(5, 8)] * 7, PILOT_Q, (0.1, 0.2, 0.9, 0.3, 0.3, 0.3, 0.3))
    assert selection.get("per_resolution")(curve, 3) == (2, 3, 5)


def test_explicit_takes_names_and_indices():
    rule = selection.get("explicit")
    assert rule(make_curve(), 4, layers=["layer5", 2]) == (2, 5)
    with pytest.raises(UnknownName):
        rule(make_curve(), 4, layers=["layer9"])
    with pytest.raises(InvalidConfig):
        rule(make_curve(), 4, layers=[2, "layer2"])
    with pytest.raises(InvalidConfig):
        rule(make_curve(), 4)


def test_choose_marks_the_curve():
    curve = selection.choose(make_curve(), "explicit", 2, {"layers": [1]})
    assert (curve.chosen, curve.rule) == ((1,), "explicit")
    with pytest.raises(UnknownName):
        selection.choose(make_curve(), "best", 2)


def layers_of(kinds):
    return [Layer(f"l{i}", i, (i + 1) / len(kinds), kind, (4,)) for i, kind in enumerate(kinds)]


def chosen_names(kinds, k):
    return [layer.name for layer in selection.student_layers(layers_of(kinds), k)]


def test_the_students_last_layer_is_its_deepest_block():
    assert chosen_names(["stem", *["block"] * 8, "pooled"], 4) == ["l2", "l4", "l6", "l8"]
    assert chosen_names(["stem", *["block"] * 3, "activation"], 2) == ["l1", "l3"]


def test_a_plain_students_last_layer_is_its_last_activation_before_the_flattened_feature():
    assert chosen_names([*["activation"] * 4, "flatten", "activation"], 2) == ["l1", "l3"]
    assert chosen_names(["activation"] * 3, 3) == ["l0", "l1", "l2"]


def test_a_short_student_uses_every_layer_it_has():
    assert chosen_names(["stem", "block", "pooled"], 3) == ["l0", "l1", "l2"]
    with pytest.raises(InvalidConfig, match="student has 3"):
        chosen_names(["stem", "block", "pooled"], 4)


def test_rules_load_no_torch():
    code = "import sys; from distill import selection; [selection.get(n) for n in selection.names()]; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
