"""GGUF by llama.cpp itself, in a suite of its own: `make test-gguf`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from distill import exports
from distill.export import DecoderGraph, EveryToken
from distill.exporting.written import written
from distill.models.language import Tokens, load, open_folder
from distill.not_exportable import NotExportable
from distill.same_answers import ExportDiffers, difference_on
from distill.student import load_student
from distill.traced import Traced
from distill.types import Architecture, ComparisonInput, ExportInput, ExportRequest
from tests.language import byte_level
from tests.language.test_run import go, spec
from tests.tasks.test_exports import WITHOUT_RETORT

pytestmark = [pytest.mark.slow, pytest.mark.gguf]

STUDENT = Architecture(name="transformers:auto", options={"layers": 2, "width": 32})
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama tied, all heads its own": (
        "llama", {"kind": "smollm", "num_key_value_heads": 2, "tie_word_embeddings": True}
    ),
    "llama with biases": ("llama", {"kind": "gpt-2", "attention_bias": True, "mlp_bias": True}),
    "llama 3's positions": ("llama", {"rope_parameters": LLAMA3}),
    "llama, positions by 4": (
        "llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}}
    ),
    "qwen2, no token before a prompt": ("qwen2", {"spare": 0, "start": False}),
    "qwen3, heads wider than width / heads": ("qwen3", {}),
    "gpt2": ("gpt2", {}),
    "gpt2 untied, rows that 32 does not divide": ("gpt2", {"tie_word_embeddings": False, "width": 24, "n_inner": 64}),
}  # fmt: skip


def traced(folder: Path, family: str, **changes: Any) -> Traced:
    opened = open_folder(byte_level.save(family, folder / "model", **changes), folder)
    network, _ = load(opened, "generate", ())
    config: Any = network.config
    tokens = Tokens.load(opened, config)

    def samples(count: int) -> Iterator[Any]:
        rows = tokens.plain(byte_level.SAID[:count])
        longest = max(map(len, rows))
        ids = torch.tensor([row + [tokens.pad] * (longest - len(row)) for row in rows])
        yield {
            "input_ids": ids,
            "attention_mask": (torch.arange(longest) < torch.tensor([[len(r)] for r in rows])).long(),
        }

    texts = ("", "caf\u00e9 \U0001f600", *byte_level.SAID)
    graph = DecoderGraph(EveryToken(network), next(samples(2)), "tokens", "logits", tokens=tokens, texts=lambda: texts)
    (folder / "work").mkdir()
    return Traced(graph, samples, folder / "work")


@pytest.mark.parametrize(("family", "changes"), KINDS.values(), ids=KINDS)
def test_its_files_have_torchs_logits_tokens_and_answers(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    given = traced(tmp_path, family, **changes)
    network, tokens = given.graph.network, given.graph.tokens
    sizes = list[int]()
    for name, most in (("gguf", 0.01), ("gguf-q8-0", 0.15)):
        exporter = exports.get(name)()
        exporter.check_packages()
        (file, *none), run = written(exporter, given, tmp_path / "made" / exporter.name("student"), name)
        assert not none
        assert file.name == f"student{exporter.ending}"
        assert exporter.facts()["architecture"] == family
        assert exporter.facts()["weights"][exporter.weights] > 0
        assert exporter.facts()["texts_compared"] > len(byte_level.SAID)
        found = difference_on(run, given.graph, given.samples(20), name)
        assert found["value"] <= most * found["largest_output"]
        sizes.append(file.stat().st_size)
        if name == "gguf":
            (row,) = tokens.plain(["The quick"])
            ids = torch.tensor([row])
            wanted = network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False,
                                      pad_token_id=0, eos_token_id=0)[0, len(row):].tolist()  # fmt: skip
            assert run.file.greedy([row, [], row * 30, row], 6, 0)[::3] == [wanted, wanted]
            assert run.file.greedy([row], 6, wanted[0]) == [wanted[:1]]
    assert sizes[1] < sizes[0] < 4 * sum(each.numel() for each in network.parameters())


@pytest.mark.parametrize("spoil", ["weights", "name"])
def test_a_wrong_file_is_thrown_away(spoil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distill.exports import _gguf, _gguf_tokens, _gguf_weights

    given = traced(tmp_path, "llama", kind="gpt-2")
    if spoil == "weights":
        monkeypatch.setattr(_gguf_weights, "_paired", lambda tensor, heads: tensor)
    else:
        own = _gguf_tokens.vocabulary
        monkeypatch.setattr(
            _gguf, "vocabulary", lambda *args: own(*args).__class__(**vars(own(*args)) | {"pre": "qwen2"})
        )
    with pytest.raises(ExportDiffers) as caught:
        written(exports.get("gguf")(), given, tmp_path / "made" / "student.gguf", "gguf")
    assert ("text" in caught.value.details) == (spoil == "name")
    assert not any((tmp_path / "made").iterdir())
    assert not any(given.folder.iterdir())


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("opt", {}),
        ("llama", {"hidden_act": "gelu"}),
        ("gpt2", {"activation_function": "relu"}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}),
        ("qwen3", {"attention_bias": True}),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}}),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NotExportable) as caught:
        written(exports.get("gguf")(), traced(tmp_path, family, **changes), tmp_path / "made" / "student.gguf", "gguf")
    assert caught.value.fault == "user"
    assert not any((tmp_path / "made").iterdir())


def test_rows_of_which_32_divides_none_have_no_8_bits(tmp_path: Path) -> None:
    given = traced(tmp_path, "gpt2", width=24)
    with pytest.raises(NotExportable) as caught:
        written(exports.get("gguf-q8-0")(), given, tmp_path / "made" / "student.q8_0.gguf", "gguf-q8-0")
    assert "gguf" in caught.value.remedy
    assert not any((tmp_path / "made").iterdir())


def test_damaged_files_are_refused_and_not_read(tmp_path: Path) -> None:
    from distill.exports._gguf import F16, write
    from distill.exports._llama_cpp import LlamaCpp, LlamaCppError

    path = tmp_path / "student.gguf"
    write(traced(tmp_path, "qwen2"), path, F16, "gguf")
    content = path.read_bytes()
    renamed = path.rename(tmp_path / "a name \u4f60 of another.bin")
    assert LlamaCpp(renamed, 1).tokenise("a") == LlamaCpp(renamed, 2).tokenise("a")  # a file's name means nothing
    for damaged in (b"", b"GGUF", content[:5000], content[:-1000], b"\0" * 5000):
        path.write_bytes(damaged)
        with pytest.raises(LlamaCppError):
            LlamaCpp(path, 1)
    with pytest.raises(LlamaCppError):
        LlamaCpp(tmp_path / "nothing.gguf", 1)


def trained(folder: Path, family: str, **more: Any) -> Path:
    """The artifacts of a run that asked for both."""
    wanted = {"recipe": "cross_entropy", "epochs": 2, "exports": ["gguf", "gguf-q8-0"]} | more
    events = go(
        spec(byte_level.instructions(folder), byte_level.teacher(family, folder), STUDENT, **wanted), folder / "run"
    )
    assert events[-1].kind == "done"
    return folder / "run" / "artifacts"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("run"), "qwen2")


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its texts are longer than `max_length`."""
    return trained(tmp_path_factory.mktemp("cut"), "gpt2", max_length=32)


@pytest.mark.parametrize("name", ["finished", "cut"])
def test_its_task_judges_the_file(name: str, request: pytest.FixtureRequest) -> None:
    finished: Path = request.getfixturevalue(name)
    found = json.loads((finished / "exports.json").read_text())
    assert not found["failed"]
    assert [each["files"][0]["name"] for each in found["exports"]] == ["student.gguf", "student.q8_0.gguf"]
    torchs = found["torch"]["student"]["metrics"]
    for each in found["exports"]:
        assert not each["exceeds_max_drop"]
        own = each["metrics"]
        assert own["perplexity"] == pytest.approx(torchs["perplexity"], rel=0.02)
        assert own["accuracy"] == each["figure"]["value"] == pytest.approx(torchs["accuracy"], abs=0.02)
        assert each["agreement"]["value"] > 0.9
        assert {"rouge_l", "tokens_per_second", "loss"} <= own.keys()
        assert (each["input"]["name"], each["runtime"]["name"]) == ("tokens", "xllamacpp")
    exact = found["exports"][0]
    assert exact["metrics"]["rouge_l"] == torchs["rouge_l"]
    assert exact["largest_difference"]["value"] < 0.01 * exact["largest_difference"]["largest_output"]
    assert "student.gguf" in (finished / "report.md").read_text()
    assert exact["snippet"] in (finished / "README.md").read_text()


def test_its_program_answers_without_retort(finished: Path) -> None:
    """The card's own program, for an answer of 8 tokens; and llama.cpp's chat, by the template in the file."""
    found = json.loads((finished / "exports.json").read_text())["exports"][0]
    code = found["snippet"].replace('"n_predict": 64', '"n_predict": 8')
    assert code != found["snippet"]
    code += (
        'chat = {"messages": [{"role": "user", "content": "Name three birds."}], "max_tokens": 8, "temperature": 0}\n'
        'print(server.handle_chat_completions(chat)["choices"][0]["message"]["content"].strip())\n'
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RETORT + code], cwd=finished, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    answer = load_student(finished / "student.zip").answer(["Name three birds."], 8)[0]
    assert done.stdout.decode() == f"{answer}\n{answer}\n"


def test_it_is_exported_later(finished: Path, tmp_path: Path) -> None:
    folder = finished.parent.parent
    report = json.loads((finished / "report.json").read_text())
    student = ComparisonInput(
        label="student", architecture=Architecture.model_validate(report["student"]["architecture"]),
        weights=str(finished / "student.zip"), recipe="cross_entropy",
    )  # fmt: skip
    asked = ExportInput(requests=(ExportRequest(format="gguf"),), student=student, report=str(finished / "report.json"))
    wanted = {"recipe": "cross_entropy", "epochs": 2}
    run = spec(byte_level.instructions(folder), byte_level.teacher("qwen2", folder), STUDENT, **wanted)
    events = go(run.model_copy(update={"export": asked}), tmp_path / "later")
    assert events[-1].kind == "done"
    first, again = (
        json.loads((each / "exports.json").read_text())["exports"][0]
        for each in (finished, tmp_path / "later" / "artifacts")
    )
    assert again["files"] == first["files"]  # the same file, byte by byte
    assert again["figure"] == first["figure"]


def test_a_format_of_another_task_is_named(tmp_path: Path) -> None:
    student = Architecture(name="transformers:auto", options={"layers": 1, "width": 32})
    wanted = {"recipe": "cross_entropy", "epochs": 1, "exports": ["onnx", "gguf"]}
    given = spec(byte_level.instructions(tmp_path), byte_level.teacher("opt", tmp_path), student, **wanted)
    assert go(given, tmp_path / "run")[-1].kind == "done"
    found = json.loads((tmp_path / "run" / "artifacts" / "exports.json").read_text())
    assert not found["exports"]
    assert [each["error"]["code"] for each in found["failed"]] == ["not_exportable"] * 2
    assert "gguf" in found["failed"][0]["error"]["remedy"]
    assert found["failed"][1]["error"]["details"]["family"] == "opt"
