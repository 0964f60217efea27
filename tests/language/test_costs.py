"""What language models cost, counted without weights: near what the networks themselves tell, for every family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill.errors import InvalidConfig
from distill.models.cost import cost
from distill.models.language import examine, make_student, open_folder
from distill.models.language.config import plain, read_config
from distill.models.language.measure import measure_text
from distill.models.language.network import parameters
from distill.types import Architecture
from tests.language import tiny

NAMES = ("a", "b", "c")


def tasks(family: str) -> list[Any]:
    return ["classify", "generate"] if family in tiny.DECODERS else ["classify"]


CASES = [(family, task) for family in tiny.FAMILIES for task in tasks(family)]


@pytest.mark.parametrize(("family", "task"), CASES)
def test_counted_from_the_configuration_as_from_the_network(family: str, task: Any) -> None:
    network = tiny.network(family, task)
    found = measure_text(plain(network.config), task, 3, 9, 9)
    batch = {name: value[:1] for name, value in tiny.batch().items()}
    assert found.network.parameters == parameters(network)
    assert cost(network, batch).flops == found.network.flops  # attention among them, whose mask has no values on meta
    assert found.features == 16 * 4
    longer = measure_text(plain(network.config), task, 3, 9, 36).network
    assert longer.flops == found.network.flops
    assert longer.activation_bytes > 3 * found.network.activation_bytes


@pytest.mark.parametrize("options", [{"layers": 1}, {"width": 8}, {"layers": 2, "inner": 8}, {"parameters": 6000}])
@pytest.mark.parametrize(("family", "task"), [("bert", "classify"), ("gpt2", "generate"), ("llama", "generate")])
def test_a_student_is_counted_as_it_is_made(family: str, task: Any, options: dict[str, Any]) -> None:
    teacher = tiny.network(family, task)
    wanted = Architecture(name="transformers:auto", options=options)
    for untie in (False, task == "generate"):
        made = make_student(wanted, teacher, task, NAMES, untie)
        found = measure_text(plain(teacher.config), task, 3, 8, 8, wanted, untie)
        assert found.network.parameters == parameters(made.network)


def test_a_student_of_fewer_heads_is_counted_as_it_is_made() -> None:
    teacher = tiny.network("qwen2", "generate", width=32, heads=4, num_key_value_heads=2)
    wanted = Architecture(name="transformers:auto", options={"heads": 2, "head_width": 8})
    found = measure_text(plain(teacher.config), "generate", 3, 8, 8, wanted)
    assert found.network.parameters == parameters(make_student(wanted, teacher, "generate").network)


def test_what_cannot_be_made_is_refused_as_the_job_would() -> None:
    config = plain(tiny.config("bert"))
    for options, message in (({"width": 7}, "heads"), ({"initialise": "teacher", "width": 8}, "cannot be copied")):
        wanted = Architecture(name="transformers:auto", options=options | ({"heads": 2} if "heads" in message else {}))
        with pytest.raises(InvalidConfig, match=message):
            measure_text(config, "classify", 3, 8, 8, wanted)
    with pytest.raises(InvalidConfig, match="encoder"):
        measure_text(config, "generate", 0, 8, 8)


def test_a_length_beyond_the_model_is_its_own() -> None:
    assert measure_text(plain(tiny.config("bert")), "classify", 2, 400, 512).max_length == 64


@pytest.mark.parametrize("family", ["roberta", "qwen2", "modernbert"])
def test_the_inspection_keeps_a_configuration_that_can_be_read_again(family: str, tmp_path: Path) -> None:
    module = tiny.network(family)
    report = examine(open_folder(tiny.save(module, tmp_path / "m"), tmp_path)).to_dict()
    kept = json.loads(json.dumps(report["config"]))
    assert read_config(kept).hidden_size == 16
    assert len(json.dumps(kept)) < 4000
