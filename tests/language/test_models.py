"""Model folders of every family: read strictly, written so that transformers reads them back, students made smaller."""

from __future__ import annotations

import json
import shutil
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from distill.errors import InvalidConfig, InvalidTeacher, RetortError, UnknownName
from distill.language_families import FAMILIES
from distill.models.blocks import blocks_for
from distill.models.language import Tokens, examine, load, make_student, open_folder, save_folder
from distill.models.language.config import read_config
from distill.models.language.student import copy_blocks
from distill.types import Architecture
from tests.language import tiny

CLASSES = ("class0", "class1", "class2")


def saved(tmp_path: Path, family: str = "bert", task: str = "classify", **changes: Any) -> Path:
    return tiny.save(tiny.network(family, task, **changes), tmp_path / "model")


def zipped(folder: Path, target: Path, top: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{top}{file.name}")
    return target


def test_every_family_of_the_list_is_tested() -> None:
    assert set(tiny.FAMILIES) == set(FAMILIES)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_saved_classifier_loads_to_the_same_logits(family: str, tmp_path: Path) -> None:
    original = tiny.network(family)
    folder = open_folder(tiny.save(original, tmp_path / "model"), tmp_path)
    found = examine(folder)
    assert (found.family, found.num_classes, found.layers, found.width) == (family, 3, 3, 16)
    assert found.generates == (family in tiny.DECODERS)
    network, headed = load(folder, "classify", CLASSES)
    assert headed
    inputs = tiny.batch()
    with torch.no_grad():
        assert torch.equal(network(**inputs).logits, original(**inputs).logits)


@pytest.mark.parametrize("family", tiny.DECODERS)
def test_a_saved_decoder_loads_to_the_same_logits(family: str, tmp_path: Path) -> None:
    original = tiny.network(family, "generate")
    folder = open_folder(tiny.save(original, tmp_path / "model"), tmp_path)
    assert examine(folder).num_classes == 0
    network, headed = load(folder, "generate", ())
    assert headed
    with torch.no_grad():
        assert torch.equal(network(**tiny.batch()).logits, original(**tiny.batch()).logits)


@pytest.mark.parametrize("family", tiny.ENCODERS)
def test_a_base_without_a_head_is_a_base(family: str, tmp_path: Path) -> None:
    whole = tiny.network(family)
    base = whole.get_submodule(whole.base_model_prefix)
    folder = open_folder(tiny.save(base, tmp_path / "model"), tmp_path)
    found = examine(folder)
    assert (found.num_classes, found.classes) == (0, ())
    network, headed = load(folder, "classify", ("a", "b", "c", "d"))
    assert not headed
    assert network(**tiny.batch()).logits.shape == (4, 4)
    inner = network.get_submodule(whole.base_model_prefix).state_dict()
    for name, tensor in base.state_dict().items():
        assert torch.equal(inner[name], tensor), name


def test_shards_are_one_model_and_must_agree_with_their_index(tmp_path: Path) -> None:
    original = tiny.network("bert")
    path = tiny.save(original, tmp_path / "model", shards="10KB")
    folder = open_folder(path, tmp_path)
    assert len(folder.shards) > 1
    network, _ = load(folder, "classify", CLASSES)
    assert torch.equal(network.state_dict()["classifier.weight"], original.state_dict()["classifier.weight"])
    index = json.loads((path / "model.safetensors.index.json").read_text())
    name = next(iter(index["weight_map"]))
    wrong = index | {"weight_map": {key: value for key, value in index["weight_map"].items() if key != name}}
    (path / "model.safetensors.index.json").write_text(json.dumps(wrong))
    with pytest.raises(InvalidTeacher, match="index"):
        open_folder(path, tmp_path)
    (path / "model.safetensors.index.json").write_text(json.dumps(index | {"weight_map": {name: "../x.safetensors"}}))
    with pytest.raises(InvalidTeacher, match="beside it"):
        open_folder(path, tmp_path)


@pytest.mark.parametrize("top", ["", "a-folder/"])
def test_a_zip_is_unpacked_to_what_is_needed(top: str, tmp_path: Path) -> None:
    path = saved(tmp_path)
    (path / "evil.py").write_text("raise SystemExit")
    folder = open_folder(zipped(path, tmp_path / "model.zip", top), tmp_path / "scratch")
    assert not (folder.path / "evil.py").exists()
    assert examine(folder).num_classes == 3


def test_a_zip_that_climbs_out_or_links_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../config.json", "{}")
    with pytest.raises(InvalidTeacher, match="climbs"):
        open_folder(path, tmp_path / "scratch")
    folder = saved(tmp_path)
    (folder / "vocab.txt").symlink_to("/etc/passwd")
    with pytest.raises(InvalidTeacher, match="link"):
        open_folder(folder, tmp_path)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    path = saved(tmp_path)
    torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
    open_folder(path, tmp_path)  # beside safetensors it is ignored
    (path / "model.safetensors").unlink()
    with pytest.raises(InvalidTeacher, match=r"pytorch_model\.bin.*only safetensors"):
        open_folder(path, tmp_path)
    with pytest.raises(InvalidTeacher, match="only safetensors"):
        open_folder(zipped(path, tmp_path / "m.zip"), tmp_path / "scratch")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trust_remote_code": False}, "trust_remote_code"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ({"nested": {"auto_map": {}}}, "auto_map"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"model_type": "evil"}, "evil"),
        ({"num_hidden_layers": 100_000}, "num_hidden_layers"),
        ({"hidden_size": -1}, "hidden_size"),
        ({"hidden_size": "large"}, "config.json"),
        ({"hidden_act": "__import__"}, "built"),
        ({"intermediate_size": 33}, "wrongly shaped"),
        ({"num_hidden_layers": 5}, "missing"),
    ],
)
def test_a_configuration_that_lies_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(data | changes))
    with pytest.raises((InvalidTeacher, InvalidConfig, UnknownName), match=message):
        examine(open_folder(path, tmp_path))


def test_an_attention_implementation_from_elsewhere_is_not_taken(tmp_path: Path) -> None:
    data = tiny.config("bert").to_dict() | {"_attn_implementation": "kernels-community/x", "attn_implementation": "x/y"}
    assert read_config(data)._attn_implementation in (None, "sdpa", "eager")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    tensors = load_file(path / "model.safetensors")
    bad = tensors | {"classifier.bias": torch.tensor([1.0, float("nan"), 0.0])}
    save_file(bad, path / "model.safetensors")
    with pytest.raises(InvalidTeacher, match=r"NaN.*classifier\.bias"):
        examine(open_folder(path, tmp_path))
    with (path / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(InvalidTeacher):
        open_folder(path, tmp_path)


def test_the_tokenizer_must_be_there_and_fit(tmp_path: Path) -> None:
    path = saved(tmp_path)
    text = (path / "tokenizer.json").read_text()
    (path / "tokenizer.json").write_text(text.replace('"cat": 7', '"cat": 700'))
    with pytest.raises(InvalidTeacher, match="token 700"):
        examine(open_folder(path, tmp_path))
    (path / "tokenizer.json").write_text("{}")
    with pytest.raises(InvalidTeacher, match="cannot be read"):
        examine(open_folder(path, tmp_path))
    (path / "tokenizer.json").unlink()
    with pytest.raises(InvalidTeacher, match="has no tokenizer"):
        examine(open_folder(path, tmp_path))


def test_encoding_truncates_and_tells_the_whole_length(tmp_path: Path) -> None:
    folder = open_folder(saved(tmp_path), tmp_path)
    tokens = Tokens.load(folder, read_config(folder.json("config.json")))
    short, pair = tokens.encode([("the cat", None), ("the cat runs fast today", "a dog")], 8)
    assert (short.ids, short.whole, short.segments) == ([1, 5, 7, 2], 4, [0, 0, 0, 0])
    assert (len(pair.ids), pair.whole) == (8, 10)
    assert pair.segments == [0] * 5 + [1] * 3
    assert tokens.pad == 0


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_student_is_a_smaller_member_of_the_family(family: str, tmp_path: Path) -> None:
    teacher = tiny.network(family)
    made = make_student(
        Architecture(name="transformers:auto", options={"layers": 2, "width": 8}), teacher, "classify", CLASSES
    )
    own = made.network.config
    assert (own.model_type, own.num_hidden_layers, own.hidden_size) == (family, 2, 8)
    assert made.architecture.name == f"transformers:{family}"
    assert made.architecture.options["initialise"] == "random"
    assert made.network(**tiny.batch()).logits.shape == (4, 3)
    again = make_student(made.architecture, teacher, "classify", CLASSES)
    assert again.network.config.to_dict() == own.to_dict()


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_nth_block_is_copied_where_widths_agree(family: str) -> None:
    teacher = tiny.network(family, layers=4)
    made = make_student(Architecture(name="transformers:auto", options={"layers": 2}), teacher, "classify", CLASSES)
    assert made.architecture.options["initialise"] == "teacher"
    assert copy_blocks(made.network, teacher) == (0, 3)
    same = make_student(Architecture(name="transformers:auto"), teacher, "classify", CLASSES).network.eval()
    with torch.no_grad():
        assert torch.equal(same(**tiny.batch()).logits, teacher(**tiny.batch()).logits)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_hidden_units_that_do_something_are_cut_out_of_the_teacher(family: str) -> None:
    """12 of 32 units whose weights are 0 go, wherever they lie: the answers stay."""
    teacher = tiny.network(family)
    wanted = Architecture(name="transformers:auto", options={"inner": 20})
    smaller = make_student(wanted, teacher, "classify", CLASSES).network.state_dict()
    dead = torch.randperm(32, generator=torch.Generator().manual_seed(1))[:12]
    with torch.no_grad():
        for name, tensor in teacher.state_dict().items():
            for dim, size in enumerate(tensor.shape):
                if size != smaller[name].shape[dim]:  # gated ones lie behind their gates
                    tensor.index_fill_(dim, torch.cat([dead + part for part in range(0, size, 32)]), 0.0)
    student = make_student(wanted, teacher, "classify", CLASSES).network.eval()
    with torch.no_grad():
        assert torch.allclose(student(**tiny.batch()).logits, teacher(**tiny.batch()).logits, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(("keys", "left", "dead"), [(1, 1, [0, 2]), (2, 1, [0, 1]), (4, 2, [1, 2])])
def test_the_heads_that_do_something_are_cut_out_of_the_teacher(
    family: str, keys: int, left: int, dead: list[int], tmp_path: Path
) -> None:
    """Two of four heads whose weights are 0 go, those that share keys and values together: the answers stay, and
    transformers reads them."""
    own = {"head_dim": 12} if family == "qwen3" else {}
    teacher = tiny.network(family, "generate", width=32, heads=4, num_key_value_heads=keys, **own)
    wide, each = 12 if own else 8, 4 // keys
    with torch.no_grad():
        for block in teacher.model.layers:
            attention = block.self_attn
            for head in dead:
                rows = slice(head * wide, (head + 1) * wide)
                attention.q_proj.weight[rows] = attention.o_proj.weight[:, rows] = 0
            for key in {head // each for head in dead} if keys > 1 else ():
                rows = slice(key * wide, (key + 1) * wide)
                attention.k_proj.weight[rows] = attention.v_proj.weight[rows] = 0
    wanted = Architecture(name="transformers:auto", options={"heads": 2, "head_width": wide})
    made = make_student(wanted, teacher, "generate")
    config: Any = made.network.config
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (2, left, wide)
    again = make_student(made.architecture, teacher, "generate").network
    tiny.save(made.network, tmp_path / "cut")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "cut", local_files_only=True)
    with torch.no_grad():
        expected = teacher(**tiny.batch()).logits
        for network in (made.network, again, theirs):
            assert torch.allclose(network.eval()(**tiny.batch()).logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "options", "field"),
    [
        ("bert", {"heads": 1, "head_width": 8}, "head_width"),  # its heads are as wide as the rest says
        ("llama", {"heads": 3, "head_width": 8}, "heads"),  # of four that share two keys
        ("llama", {"heads": 2, "head_width": 7}, "head_width"),  # rotary positions turn pairs
    ],
)
def test_heads_that_cannot_be_cut_are_refused(family: str, options: dict[str, Any], field: str) -> None:
    keys = {"num_key_value_heads": 2} if family == "llama" else {}
    teacher = tiny.network(family, width=32, heads=4, **keys)
    with pytest.raises(InvalidConfig) as refused:
        make_student(Architecture(name="transformers:auto", options=options), teacher, "classify", CLASSES)
    assert field in refused.value.details
    if field == "heads":
        assert refused.value.details == {"heads": 3, "fewer": 2, "more": 4}


@given(available=st.integers(1, 200), wanted=st.integers(1, 200))
def test_copied_blocks_are_evenly_spaced_from_end_to_end(available: int, wanted: int) -> None:
    taken = blocks_for(available, wanted)
    assert len(taken) == wanted
    assert taken[-1] == available - 1
    steps = [b - a for a, b in pairwise(taken)]
    if 1 < wanted <= available:
        assert taken[0] == 0
        assert min(steps) >= 1
        assert max(steps) - min(steps) <= 1
    if wanted > available:
        assert taken[:available] == tuple(range(available))


def test_some_copied_blocks() -> None:
    assert blocks_for(30, 6) == (0, 6, 12, 17, 23, 29)
    assert (blocks_for(6, 2), blocks_for(6, 1), blocks_for(3, 5)) == ((0, 5), (5,), (0, 1, 2, 2, 2))


@pytest.mark.parametrize("family", ["bert", "opt", "llama"])
def test_a_budget_gives_the_largest_student_that_fits(family: str) -> None:
    teacher = tiny.network(family, width=32, layers=4, heads=4)
    full = sum(p.numel() for p in teacher.parameters())
    made = make_student(
        Architecture(name="transformers:auto", options={"parameters": full // 2}), teacher, "classify", CLASSES
    )
    count = sum(p.numel() for p in made.network.parameters())
    assert full // 8 < count <= full // 2
    assert f"{count:,}" in made.reason
    with pytest.raises(InvalidConfig, match="embeddings alone"):
        make_student(Architecture(name="transformers:auto", options={"parameters": 10}), teacher, "classify", CLASSES)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("transformers:gpt2", {}),
        ("transformers:auto", {"wide": 3}),
        ("transformers:auto", {"layers": 0}),
        ("transformers:auto", {"width": 9, "heads": 2}),
        ("transformers:auto", {"width": 8, "initialise": "teacher"}),
        ("transformers:auto", {"layers": 1, "parameters": 9000}),
    ],
)
def test_a_student_that_cannot_be_is_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(RetortError):
        make_student(Architecture(name=name, options=options), tiny.network("bert"), "classify", CLASSES)


def test_an_encoder_cannot_generate() -> None:
    with pytest.raises(InvalidConfig, match="encoder"):
        make_student(Architecture(name="transformers:auto"), tiny.network("bert"), "generate")


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_what_is_saved_is_what_transformers_reads(family: str, tmp_path: Path) -> None:
    folder = open_folder(saved(tmp_path, family), tmp_path)
    network, _ = load(folder, "classify", CLASSES)
    tokens = Tokens.load(folder, network.config)
    save_folder(network, tokens, tmp_path / "out")
    shutil.rmtree(tmp_path / "model")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", local_files_only=True).eval()
    with torch.no_grad():
        assert torch.equal(theirs(**tiny.batch()).logits, network(**tiny.batch()).logits)
    assert theirs.config.id2label == dict(enumerate(CLASSES))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    assert tokenizer("the cat")["input_ids"][-2:] != []
    from transformers import pipeline  # imports torchvision: not before distill's shim

    (answer,) = pipeline("text-classification", model=str(tmp_path / "out"), device="cpu")("the cat")
    with torch.no_grad():
        shares = network(**tokenizer("the cat", return_tensors="pt")).logits.softmax(1)[0]
    assert answer == {"label": CLASSES[int(shares.argmax())], "score": pytest.approx(float(shares.max()), abs=1e-5)}
    assert examine(open_folder(tmp_path / "out", tmp_path)).num_classes == 3


def test_tied_weights_are_written_once_and_come_back_tied(tmp_path: Path) -> None:
    original = tiny.network("gpt2", "generate")
    folder = open_folder(tiny.save(original, tmp_path / "model"), tmp_path)
    network, headed = load(folder, "generate", ())
    assert headed
    assert network.lm_head.weight is network.transformer.wte.weight
    save_folder(network, Tokens.load(folder, network.config), tmp_path / "out")
    assert "lm_head.weight" not in load_file(tmp_path / "out" / "model.safetensors")
    untied = make_student(Architecture(name="transformers:auto"), network, "generate", untie=True)
    assert untied.network.lm_head.weight is not untied.network.transformer.wte.weight
    assert untied.architecture.options["untied"] is True
