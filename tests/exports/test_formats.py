"""Every format of the registry on one tiny network: what it writes, and how wrong files are caught."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill import exports
from distill.errors import InvalidConfig, UnknownName
from distill.export import Graph
from distill.exporting.written import written
from distill.exports._needs import MissingPackage
from distill.models import Preprocessing
from distill.not_exportable import NotExportable
from distill.same_answers import ExportDiffers, check, difference_on
from distill.tasks._images.pixels import FromPixels
from distill.traced import Traced

SHAPE = (3, 8, 8)
PAGE = {"kind": "class"}
FORMATS = [
    pytest.param(name, marks=[] if extra == "worker" else [pytest.mark.slow, getattr(pytest.mark, extra)])
    for name in exports.of("tensor")
    for extra in [exports.get(name).extra]
]
"""Those that a worker does not have by itself have a suite of their own: `make test-executorch`."""


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.norm(self.conv(x)).relu().mean((2, 3)))
        return found


class Fft(nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.svdvals(x.flatten(2))


@pytest.fixture(scope="module")
def graph() -> Graph:
    torch.manual_seed(0)
    return Graph(Tiny().eval().requires_grad_(requires_grad=False), torch.zeros(2, *SHAPE), "image", "logits")


def samples(count: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return iter(torch.randn(count, *SHAPE, generator=generator).split(16))


@pytest.fixture(scope="module")
def traced(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Traced:
    return Traced(graph, samples, tmp_path_factory.mktemp("traced"), PAGE)


@pytest.mark.parametrize("name", FORMATS)
def test_its_file_answers_as_torch_for_any_batch(name: str, traced: Traced, tmp_path: Path) -> None:
    exporter = exports.get(name)()
    exporter.check_packages()
    files = exporter.write(traced, tmp_path / exporter.name("student"))
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}
    assert files[0].name == f"student{exporter.ending}"
    run, real = exporter.open(files[0], 1), next(samples(16))
    check(run, traced.graph, traced.three(), exporter.tolerance, name)
    found = difference_on(run, traced.graph, [real], name)
    rounding = 0.2 if exporter.tolerance is None else exporter.tolerance
    assert found["value"] <= rounding * found["largest_output"]
    assert found["n"] == 16


@pytest.mark.parametrize("name", exports.names())
def test_what_a_worker_says_it_lacks_is_what_its_exporter_would_raise(name: str) -> None:
    try:
        exports.get(name)().check_packages()
        raised = None
    except MissingPackage as error:
        raised = error.to_dict()
    assert exports.lacking().get(name) == raised


@pytest.mark.parametrize("name", exports.names())
def test_what_the_catalogue_says_of_it(name: str) -> None:
    assert exports.registry.summary(name)
    defaults = {key: told["default"] for key, told in exports.registry.parameters(name).items()}
    exports.get(name)(**defaults)
    assert ("pixels" in defaults) == (name in exports.of("tensor"))
    with pytest.raises(UnknownName):
        exports.registry.check(name.replace("-", "_") + "x")


def wrong_batch(graph: Graph) -> Any:
    """As a file whose batch was fixed to the first of the example."""
    return lambda given: graph.module(given[:1]).expand(len(given), -1)


def no_bias(graph: Graph) -> Any:
    return lambda given: graph.module(given) - graph.module.head.bias


def no_numbers(graph: Graph) -> Any:
    return lambda given: graph.module(given) * torch.nan


def one_row(graph: Graph) -> Any:
    return lambda given: graph.module(given)[:1]


def broken(graph: Graph) -> Any:
    def run(given: Tensor) -> Tensor:
        if len(given) == 3:
            raise RuntimeError("Got invalid dimensions for input: image")
        found: Tensor = graph.module(given)
        return found

    return run


@pytest.mark.parametrize("wrong", [wrong_batch, no_bias, no_numbers, one_row, broken])
def test_a_file_that_is_not_the_student_is_caught(wrong: Any, graph: Graph) -> None:
    with pytest.raises(ExportDiffers) as caught:
        check(wrong(graph), graph, next(samples(3)), 1e-3, "onnx")
    assert caught.value.fault == "system"
    assert caught.value.details["format"] == "onnx"


@pytest.mark.parametrize("wrong", [wrong_batch, no_numbers, one_row, broken])
def test_a_format_that_rounds_is_held_to_its_own_answers(wrong: Any, graph: Graph) -> None:
    with pytest.raises(ExportDiffers):
        check(wrong(graph), graph, next(samples(3)), None, "onnx-int8")
    check(no_bias(graph), graph, next(samples(3)), None, "onnx-int8")  # what rounding costs, the test set says


@pytest.mark.parametrize("name", [each for each in FORMATS if each.values != ("torch-export",)])
def test_what_a_format_does_not_hold_is_named(name: str, tmp_path: Path) -> None:
    odd = Graph(Fft(), torch.randn(2, *SHAPE), "image", "logits")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(NotExportable, match="svd") as caught:
        written(
            exports.get(name)(), Traced(odd, samples, tmp_path / "scratch", PAGE), tmp_path / "made" / "student", name
        )
    assert caught.value.details["format"] == name
    assert "svd" in caught.value.details["operator"]
    assert not any((tmp_path / "made").iterdir())


def beyond_fp16(given: Tensor) -> Tensor:
    found = torch.ones(len(given), 4)
    return torch.full_like(found, torch.inf) if len(given) > 3 else found


def test_a_file_without_finite_answers_on_the_test_set_is_caught(graph: Graph) -> None:
    with pytest.raises(ExportDiffers):
        difference_on(beyond_fp16, graph, samples(16), "onnx-fp16")


class Stumbling(exports.get("torch-export")):  # type: ignore[misc]
    """A runtime that fails in words of its own, after the writer left what it had."""

    def __init__(self, error: Exception, where: str) -> None:
        super().__init__()
        self.error, self.where = error, where

    def write(self, traced: Traced, path: Path) -> list[Path]:
        path.with_suffix(".half").touch()
        if self.where == "write":
            raise self.error
        return list(super().write(traced, path))

    def open(self, path: Path, threads: int) -> Any:
        raise self.error


@pytest.mark.parametrize("where", ["write", "open"])
def test_whatever_a_library_raises_is_a_refusal_and_leaves_nothing(where: str, traced: Traced, tmp_path: Path) -> None:
    said = "[ONNXRuntimeError] : 10 : INVALID_GRAPH : tensor(float16) is not tensor(float)"
    (tmp_path / "earlier.onnx").touch()
    with pytest.raises(NotExportable, match="INVALID_GRAPH") as caught:
        written(Stumbling(RuntimeError(said), where), traced, tmp_path / "student.pt2", "onnx-fp16")
    assert caught.value.details["format"] == "onnx-fp16"
    assert [file.name for file in tmp_path.iterdir()] == ["earlier.onnx"]


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "No space left on device")])
def test_what_the_machine_lacks_is_not_blamed_on_the_network(error: Exception, traced: Traced, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        written(Stumbling(error, "write"), traced, tmp_path / "student.pt2", "onnx")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("calibration", exports.registry.parameters("onnx-int8")["calibration"]["enum"])
def test_every_calibration_takes_any_number_of_samples(calibration: str, traced: Traced, tmp_path: Path) -> None:
    """onnxruntime's histograms take batches of one size alone, and keep every activation of all that they are given."""
    exporter = exports.get("onnx-int8")(calibration_samples=40, calibration=calibration)
    (path,) = exporter.write(traced, tmp_path / "student.int8.onnx")
    assert exporter.facts()["calibrated_on"] == 40
    found = difference_on(exporter.open(path, 1), traced.graph, samples(16), "onnx-int8")
    assert found["value"] <= 0.3 * found["largest_output"]


def test_nothing_to_calibrate_on_is_said(traced: Traced, tmp_path: Path) -> None:
    none = Traced(traced.graph, lambda count: iter(()), traced.folder)
    with pytest.raises(InvalidConfig) as caught:
        exports.get("onnx-int8")().write(none, tmp_path / "student.int8.onnx")
    assert caught.value.details["field"] == "calibration_samples"


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_pixels_are_normalised_in_the_graph_as_before_it(order: Any, graph: Graph) -> None:
    how = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), SHAPE[1:], channel_order=order)
    pixels = torch.randint(0, 256, (5, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    from distill.modalities.images.normalise import Normaliser

    shown = Normaliser(how, torch.device("cpu"))(pixels)
    inside = FromPixels(graph.module, how)
    torch.testing.assert_close(inside.encode(shown), pixels)
    torch.testing.assert_close(inside(pixels), graph.module(shown), rtol=1e-4, atol=1e-5)
