"""`retort score`: a local checkpoint and dataset in, a printed curve and five files out, no service."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner

from client import cli
from distill.cli import score
from distill.models import build, save
from distill.types import Architecture, QCurve


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    architecture = Architecture(name="retort:resnet8", options={"width": 4})
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save(build(architecture, 10), path, {"architecture": architecture.model_dump_json()})
    return path


def run(checkpoint, folder, *options):
    base = ["--weights", str(checkpoint), "--dataset", "digits", "--samples", "100", "--device", "cpu"]
    return CliRunner().invoke(score, [*base, "--output", str(folder), *options])


def test_it_prints_and_writes_the_curve_and_reuses_it(checkpoint, tmp_path):
    first = run(checkpoint, tmp_path / "out", "--layers", "2", "--bootstrap", "3")
    assert first.exit_code == 0, first.output
    curve = QCurve.from_dict(json.loads((tmp_path / "out" / "q-curve.json").read_text()))
    assert curve.complete
    assert (curve.samples, curve.classes, curve.rule, len(curve.chosen)) == (100, 10, "auto", 2)
    assert curve.layers[0].standard_error
    assert all(layer.name in first.output for layer in curve.layers)
    kinds = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert kinds == {".json", ".csv", ".svg", ".png", ".txt"}
    again = run(checkpoint, tmp_path / "out", "--layers", "2", "--bootstrap", "3", "--selection", "top_q")
    assert "Reused" in again.output
    assert json.loads((tmp_path / "out" / "q-curve.json").read_text())["rule"] == "top_q"
    assert "Reused" not in run(checkpoint, tmp_path / "out", "--layers", "2", "--seed", "1").output


def test_modules_can_be_named(checkpoint, tmp_path):
    named = run(checkpoint, tmp_path, "--layers", "1", "--layer", "stages.1", "--layer", "stem")
    assert named.exit_code == 0, named.output
    layers = json.loads((tmp_path / "q-curve.json").read_text())["layers"]
    assert [layer["name"] for layer in layers] == ["stem", "stages.1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--layers", "40"], "the teacher has 5"),
        (["--layer", "nowhere"], "no module 'nowhere'"),
        (["--architecture", "retort:resnet9000"], "resnet9000"),
        (["--memory-mib", "1"], "--memory-mib"),
        (["--samples", "5"], "each of the 10 classes"),
        (["--seed", "-1"], "--seed"),
        (["--image-size", "0"], "--image-size"),
        (["--max-passes", "0"], "--max-passes"),
        (["--architecture", "?width=3"], "is no architecture"),
        (["--architecture", "retort:resnet8?width={}"], "is no architecture"),
        (["--dataset", ""], "names no path"),
    ],
)
def test_bad_input_is_said_plainly_and_leaves_nothing(checkpoint, tmp_path, options, said):
    result = run(checkpoint, tmp_path / "out", *options)
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert said in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("said", ["retort:resnet8", '{"name": 3}', "[1]"])
def test_a_header_that_names_no_architecture_is_said_plainly(checkpoint, tmp_path, said):
    odd = tmp_path / "odd.safetensors"
    save(build(Architecture(name="retort:resnet8", options={"width": 4}), 10), odd, {"architecture": said})
    result = run(odd, tmp_path / "out")
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Give --architecture" in result.output


def test_an_output_that_cannot_be_written_is_refused_before_the_work(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.commands.score._follow", lambda *_: pytest.fail("scored first"))
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "deeper"):
        result = run(checkpoint, output)
        assert isinstance(result.exception, SystemExit), result.exception
        assert "is no folder" in result.output


def test_a_machine_out_of_memory_is_said_plainly_and_is_the_systems_fault(checkpoint, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4529848320 bytes.")

    monkeypatch.setattr("distill.commands.score._follow", full)
    monkeypatch.setattr(cli.Program, "get_command", lambda *_: score)
    base = ["score", "--weights", str(checkpoint), "--dataset", "digits", "--output", str(tmp_path)]
    assert cli.main(base) == 2
    assert "memory is full" in capsys.readouterr().err


def test_the_command_is_defined_without_torch():
    code = "import sys, distill.cli; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
