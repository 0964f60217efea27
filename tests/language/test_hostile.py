"""Hostile model folders: tokenizers that crash the library that reads them, configurations and indices that lie."""

from __future__ import annotations

import errno
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from distill.errors import InvalidTeacher
from distill.models.language import Tokens, examine, open_folder
from distill.models.language.config import read_config
from tests.language import tiny

Change = Callable[[dict[str, Any]], Any]
CHARSMAP = "precompiled_charsmap"
_SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}


def _special(table: dict[str, Any], **changes: Any) -> None:
    table["post_processor"]["special_tokens"]["[CLS]"].update(changes)


# name -> (what is changed in tokenizer.json, what the refusal says)
TOKENIZERS: dict[str, tuple[Change, str]] = {
    "a charsmap that is empty": (
        lambda t: t.update(normalizer={"type": "Precompiled", CHARSMAP: ""}),
        "cannot be read",
    ),
    "a charsmap of zeros": (lambda t: t.update(normalizer={"type": "Precompiled", CHARSMAP: "AAAAAAAA"}), "failed"),
    "a charsmap that points out of itself": (
        lambda t: t.update(normalizer={"type": "Precompiled", CHARSMAP: "CAAAAAAAAAD/////AAAA"}),
        "failed",
    ),
    "a merge of tokens that are none": (
        lambda t: t.update(model={"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}),
        "cannot be read",
    ),
    "pieces of no length": (lambda t: t.update(pre_tokenizer={"type": "FixedLength", "length": 0}), "failed"),
    "a template of unknown tokens": (lambda t: t["post_processor"].update(special_tokens={}), "failed"),
    "a template with a token beyond the embeddings": (lambda t: _special(t, ids=[10**9]), "token 1000000000"),
    "a template with a segment too many": (
        lambda t: t["post_processor"]["single"][0]["SpecialToken"].update(type_id=77),
        "segment 77",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.save(tiny.network("bert"), tmp_path / "model")


def changed(folder: Path, name: str, change: Change) -> None:
    table = json.loads((folder / name).read_text())
    change(table)
    (folder / name).write_text(json.dumps(table))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_that_crashes_its_library_is_refused(name: str, folder: Path) -> None:
    change, word = TOKENIZERS[name]
    changed(folder, "tokenizer.json", change)
    with pytest.raises(InvalidTeacher, match=word) as caught:
        examine(open_folder(folder, folder))
    assert caught.value.remedy


def test_a_text_that_the_tokenizer_cannot_encode_is_the_users_fault(folder: Path) -> None:
    """Without a token for unknown words it is taken: texts may have none of these."""
    changed(folder, "tokenizer.json", lambda table: table["model"].update(unk_token="[NONE]"))
    tokens = Tokens.load(found := open_folder(folder, folder), read_config(found.json("config.json")))
    assert tokens.plain(["the cat"]) == [[5, 7]]
    with pytest.raises(InvalidTeacher, match="failed on a text"):
        tokens.encode([("the zebra", None)], 8)


def test_a_regular_expression_that_backtracks_without_end(folder: Path) -> None:
    split = _SPLIT | {"pattern": {"Regex": "(a|a)*(a|a)*(a|a)*$z"}}
    changed(folder, "tokenizer.json", lambda table: table.update(pre_tokenizer=split))
    tokens = Tokens.load(found := open_folder(folder, folder), read_config(found.json("config.json")))
    with pytest.raises(InvalidTeacher, match="retry-limit"):
        tokens.plain(["zebra " + "a" * 40])


@pytest.mark.parametrize("name", ["x" * 256, "half \ud800", "a bell \x07"])
def test_names_that_no_class_can_have(name: str, folder: Path) -> None:
    changed(folder, "config.json", lambda table: table.update(id2label={"0": "a", "1": "b", "2": name}))
    with pytest.raises(InvalidTeacher, match=r"class that config.json names"):
        examine(open_folder(folder, folder))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model_type": ["bert"]}, "model_type"),
        ({"model_type": {}}, "model_type"),
        ({"x": json.loads("[" * 900 + "]" * 900)}, "nested too deeply"),
        ({"x": [0] * 2000 + [{"auto_map": {}}]}, "auto_map"),
    ],
)
def test_configurations_of_wrong_types(changes: dict[str, Any], word: str, folder: Path) -> None:
    changed(folder, "config.json", lambda table: table.update(changes))
    with pytest.raises(InvalidTeacher, match=word):
        examine(open_folder(folder, folder))


@pytest.mark.parametrize("name", ["x" * 300, "\u00e9" * 200, "x\0", "\ud800", "../model", "/etc/passwd", ""])
def test_an_index_with_names_that_no_file_beside_it_has(name: str, folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": f"{name}.safetensors"}}))
    with pytest.raises(InvalidTeacher, match="names"):
        open_folder(folder, folder)


def deflated(folder: Path, path: Path, **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.writestr(file.name, more.get(file.stem, file.read_bytes()))
    return path


def test_a_full_disk_is_not_the_zips_fault(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "model.safetensors").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        open_folder(deflated(folder, tmp_path / "m.zip"), own, own=True)
    assert caught.value.errno == errno.ENOSPC


def test_damaged_deflate_is(folder: Path, tmp_path: Path) -> None:
    path = deflated(folder, tmp_path / "m.zip")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("config.json").header_offset + 30 + len("config.json")
    content = bytearray(path.read_bytes())
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(InvalidTeacher, match="damaged"):
        open_folder(path, tmp_path / "scratch")


def test_weights_that_unpack_to_far_more_than_was_sent(folder: Path, tmp_path: Path) -> None:
    """Zeros deflate a thousandfold: a zip of 600 MB would fill a worker's disk with 128 GB."""
    path = deflated(folder, tmp_path / "m.zip", model=bytes(4_000_000))
    with pytest.raises(InvalidTeacher, match="more than 20 times"):
        open_folder(path, tmp_path / "scratch")


def test_a_report_does_not_repeat_every_name_that_a_file_adds(folder: Path) -> None:
    """90,000 empty tensors made a report of 27 MB, which every listing of teachers carried."""
    weights = folder / "model.safetensors"
    save_file(load_file(weights) | {f"extra.{i}": torch.zeros(0) for i in range(200)}, weights)
    assert len(examine(open_folder(folder, folder)).to_dict()["ignored"]) == 50
