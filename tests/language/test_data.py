"""Text tables: what they mean, what is refused, how they are tokenised, bucketed and continued."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import InvalidConfig, InvalidDataset
from distill.modalities.text import (
    TextLoader,
    TokenSamples,
    choose_length,
    inspect_text,
    open_raw_text,
    open_text,
    tokenise,
)
from distill.models.language.tokenizer import Tokens
from distill.types import DatasetInput
from tests.language import tiny

ROWS: list[dict[str, Any]] = [
    {"text": f"{noun} {verb} {i}", "label": label}
    for i in range(6)
    for noun, verb, label in (("the cat", "runs", "good"), ("a dog", "sleeps", "bad"))
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def dataset(**files: Path) -> DatasetInput:
    return DatasetInput(kind="text", name="texts", files={role: str(path) for role, path in files.items()})


def tokens(decoder: bool = False) -> Tokens:
    special: dict[str, int | None] = {"pad": 0, "bos": 1 if decoder else None, "eos": 4 if decoder else None}
    return Tokens(tiny.tokenizer(decoder), {}, special, tiny.VOCABULARY, 0 if decoder else 2)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_dataset(suffix: str, tmp_path: Path) -> None:
    found = open_text(dataset(all=write(tmp_path / f"data{suffix}", ROWS)))
    assert (found.kind, found.classes) == ("classify", ("bad", "good"))
    assert (len(found.train), len(found.test)) == (10, 2)
    assert found.train.labels.bincount().tolist() == [5, 5]
    assert "20% held out" in found.notes[0]
    other = open_text(dataset(all=write(tmp_path / "other.jsonl", ROWS)))
    assert found.digest == other.digest


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["02", "01"], ("01", "02")),
        (["10", "9", "09"], ("09", "9", "10")),
        (["1", "\u00b2"], ("1", "\u00b2")),
        (["--2", "1"], ("--2", "1")),
        (["\u0661", "2"], ("2", "\u0661")),
        ([-1, 1, 0], ("-1", "0", "1")),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_labels_are_classes_as_they_are_written(
    labels: list[Any], classes: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    rows = [{"text": f"the cat {i}", "label": label} for i in range(5) for label in labels]
    found = open_text(dataset(all=write(tmp_path / f"all.{suffix}", rows)))
    assert found.classes == classes
    assert found.train.labels.bincount().tolist() == [4] * len(classes)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["0", "1", "2"], [2, 10, 1], [0.0, 1.0, 2.0]])
def test_numbers_are_classes_by_value(labels: list[Any], tmp_path: Path) -> None:
    rows = [{"text": f"the cat {i}", "label": label} for i in range(3) for label in labels]
    found = open_raw_text(dataset(all=write(tmp_path / "data.jsonl", rows)))
    assert found.classes == tuple(str(int(n)) for n in sorted(float(label) for label in labels))


@pytest.mark.parametrize("names", [("sentence1", "sentence2"), ("premise", "hypothesis"), ("text_a", "text_b")])
def test_pairs_of_sentences(names: tuple[str, str], tmp_path: Path) -> None:
    rows = [{names[0]: f"the cat {i}", names[1]: "a dog", "label": i % 2} for i in range(8)]
    found = open_raw_text(dataset(all=write(tmp_path / "data.csv", rows)))
    assert found.kind == "classify"
    assert all(second == "a dog" for _, second in found.train.pairs)
    assert inspect_text(dataset(all=tmp_path / "data.csv")).pairs


def test_instructions_and_chats(tmp_path: Path) -> None:
    rows = [
        {"instruction": "what does it do ?", "input": "" if i % 2 else "the cat", "output": "runs"} for i in range(6)
    ]
    found = open_raw_text(dataset(all=write(tmp_path / "data.jsonl", rows)))
    assert (found.kind, found.classes) == ("generate", ())
    prompt, answer = found.train.pairs[0]
    assert answer == "runs"
    assert prompt.startswith("### Instruction:\nwhat does it do ?")
    assert prompt.endswith("### Response:\n")
    assert (found.train.labels == -1).all()
    messages = [
        {"role": "system", "content": "fast"},
        {"role": "user", "content": "what ?"},
        {"role": "assistant", "content": "runs"},
    ]
    for name in ("chat.jsonl", "chat.parquet"):
        chat = open_raw_text(dataset(all=write(tmp_path / name, [{"messages": messages}] * 5)))
        assert chat.train.pairs[0] == ("### System:\nfast\n\n### User:\nwhat ?\n\n### Assistant:\n", "runs")


def test_instructions_may_have_labels(tmp_path: Path) -> None:
    rows = [{"instruction": f"what {i}", "output": "runs", "label": "ab"[i % 2]} for i in range(10)]
    found = open_raw_text(dataset(all=write(tmp_path / "data.jsonl", rows)))
    assert (found.kind, found.classes) == ("generate", ("a", "b"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": "x", "b": "y"}], "columns are a, b"),
        ([{"text": "x"}], "columns are text"),
        ([{"text": "x", "label": "a"}] * 3, "fewer than 2 classes"),
        ([{"text": "", "label": "a"}], "row 1 has no text"),
        ([{"text": "x", "label": "a"}, {"text": "y", "label": None}], "row 2 of the table has no class"),
        ([{"text": "x", "label": "a" * 300}], "300 characters"),
        ([{"text": ["x"], "label": "a"}], "nested"),
        ([{"instruction": "x", "output": " "}], "no text in column 'output'"),
        ([{"messages": "hello"}], "no list of at least two"),
        ([{"messages": [{"role": "user", "content": "x"}] * 2}], "not the assistant's"),
        ([{"messages": [{"role": "root", "content": "x"}] * 2}], "no known role"),
        ([{"messages": [{"role": [], "content": "x"}] * 2}], "no known role"),
        ([{"messages": [{"role": "assistant", "content": "x\ud800"}] * 2}], "characters that no text has"),
        ([{"text": "x", "label": 10**300}], "301 characters"),
        ([{"messages": [{"role": "user", "content": {"deep": 1}}] * 2}], "no known role"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(rows: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=message):
        open_raw_text(dataset(all=write(tmp_path / "data.jsonl", rows)))


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(InvalidDataset, match="cannot be read"):
        open_raw_text(dataset(all=tmp_path / "data.parquet"))
    (tmp_path / "data.txt").write_text("hello")
    with pytest.raises(InvalidDataset, match="has no rows"):
        open_raw_text(dataset(all=tmp_path / "data.txt"))
    (tmp_path / "data.jsonl").write_text("")
    with pytest.raises(InvalidDataset, match="is empty"):
        open_raw_text(dataset(all=tmp_path / "data.jsonl"))


def test_splits_must_agree(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", ROWS)
    test = write(tmp_path / "test.jsonl", [{"text": "a bird", "label": "odd"}])
    with pytest.raises(InvalidDataset, match=r"training split lacks \(odd: 1 rows"):
        open_raw_text(dataset(train=train, test=test))
    test = write(tmp_path / "test.jsonl", [{"instruction": "x", "output": "y"}])
    with pytest.raises(InvalidDataset, match="instructions"):
        open_raw_text(dataset(train=train, test=test))


def test_the_report_tells_lengths_classes_and_duplicates(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [*ROWS, {"text": "word " * 200, "label": "good"}])
    test = write(
        tmp_path / "test.jsonl", [{"text": "The  CAT runs 0", "label": "good"}, {"text": "new", "label": "bad"}]
    )
    found = inspect_text(dataset(train=train, test=test))
    assert found.duplicates_between_splits == 1
    assert "1 test texts (50.0%)" in found.notes[0]
    assert found.counts == {"train": [6, 7], "test": [1, 1]}
    assert found.words == (1, 4, 200)
    assert found.longer_than["128"] == pytest.approx(1 / 15, abs=1e-4)
    assert found.longer_than["256"] == 0
    assert (found.form, found.words_99) == ("texts", 200)
    assert found.mean_words == pytest.approx((200 + 4 * 12) / 13, abs=0.01)
    assert [example["label"] for example in found.examples] == ["bad", "good"]
    assert all(0 < len(example["first"]) <= 240 and example["second"] == "" for example in found.examples)
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("form", "row"),
    [
        ("texts", {"text": "the cat", "label": "a"}),
        ("pairs", {"premise": "the cat", "hypothesis": "a dog", "label": "a"}),
        ("instructions", {"prompt": "what ?", "response": "the cat " * 200}),
        ("messages", {"messages": [{"role": "user", "content": "what ?"}, {"role": "assistant", "content": "runs"}]}),
    ],
)
def test_the_report_tells_which_kind_of_texts_they_are(form: str, row: dict[str, Any], tmp_path: Path) -> None:
    rows = [row | ({"label": "ab"[i % 2]} if "label" in row else {}) for i in range(20)]
    found = inspect_text(dataset(all=write(tmp_path / "data.jsonl", rows)))
    assert found.form == form
    assert len(found.examples) == (2 if "label" in row else 8)
    assert all(len(example["second"]) <= 240 for example in found.examples)
    assert bool(found.examples[0]["second"]) == (form != "texts")


def test_tokens_of_texts_pairs_and_instructions() -> None:
    labels = torch.tensor([0, 1])
    made = tokenise([("the cat", None), ("the cat runs", "a dog")], labels, tokens(), 7)
    assert made.lengths.tolist() == [4, 7]
    assert made.truncated == 0.5
    assert made.segments is not None
    assert made.prompts is None
    exchange = tokenise([("what does it do ?", "the cat runs .")], labels[:1], tokens(True), 64, generate=True)
    assert exchange.prompts is not None
    assert (exchange.prompts.tolist(), exchange.lengths.tolist()) == ([6], [11])
    assert (exchange.ids[0], exchange.ids[-1]) == (1, 4)
    cut = tokenise([("what does it do ?", "the cat runs .")], labels[:1], tokens(True), 8, generate=True)
    assert cut.prompts is not None
    assert (cut.prompts.tolist(), cut.lengths.tolist(), cut.truncated) == ([4], [8], 1.0)
    assert cut.ids[:4].tolist() == exchange.ids[2:6].tolist()


def test_the_automatic_length_covers_nearly_all_texts() -> None:
    pairs: list[tuple[str, str | None]] = [("the cat " * n, None) for n in range(1, 101)]
    assert choose_length(pairs, tokens(), 1000, False) == 208
    assert choose_length(pairs, tokens(), 64, False) == 64
    assert choose_length([("a", None)], tokens(), 64, False) == 8


def samples(lengths: list[int], prompts: list[int] | None = None) -> TokenSamples:
    sizes = torch.tensor(lengths)
    ids = torch.cat([torch.full((size,), number + 1) for number, size in enumerate(lengths)]).int()
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)[:-1]])
    given = None if prompts is None else torch.tensor(prompts)
    return TokenSamples(ids, starts, sizes, None, given, torch.arange(len(lengths)), 0.0)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=60), st.integers(1, 8), st.booleans(), st.booleans(),
    st.integers(0, 3), st.integers(1, 2),
)  # fmt: skip
def test_every_sample_comes_once_unpadded_and_continued_epochs_agree(
    lengths: list[int], size: int, shuffle: bool, drop_last: bool, start: int, world: int
) -> None:
    seen = []
    for rank in range(world):
        if len(lengths) < world * (size if drop_last else 1):
            return
        loader = TextLoader(samples(lengths), range(len(lengths)), size, 0, 32, 5, shuffle, drop_last, "cpu", True, rank, world)  # fmt: skip  # noqa: E501
        batches = list(loader.epoch(3))
        assert len(batches) == loader.batches_per_epoch
        for batch in batches:
            mask = batch.student["attention_mask"].bool()
            assert mask.sum(1).tolist() == [lengths[i] for i in batch.index.tolist()]
            assert (batch.student["input_ids"] == torch.where(mask, batch.index[:, None] + 1, 0)).all()
            assert mask.shape[1] <= 8 * -(-max(lengths) // 8)
            seen += batch.index.tolist()
        for ours, again in zip(batches[start:], loader.epoch(3, start), strict=True):
            assert torch.equal(ours.index, again.index)
            assert all(torch.equal(ours.student[name], again.student[name]) for name in ours.student)
    assert len(set(seen)) == len(seen)
    if not drop_last and world == 1:
        assert sorted(seen) == list(range(len(lengths)))


def test_bucketing_wastes_far_less_padding_than_chance() -> None:
    lengths = np.random.default_rng(0).integers(8, 200, 2000).tolist()

    def share(loader: TextLoader) -> float:
        masks = [batch.student["attention_mask"] for batch in loader.epoch(0)]
        return sum(int(m.sum()) for m in masks) / sum(m.numel() for m in masks)

    bucketed = TextLoader(samples(lengths), range(2000), 16, 0, 256)
    plain = TextLoader(samples(lengths), range(2000), 16, 0, 256, shuffle=False)
    assert share(bucketed) > 0.9 > 0.6 > share(plain)
    first, second = bucketed.order(0), bucketed.order(1)
    assert not torch.equal(first, second)
    assert abs(float(samples(lengths).lengths[first[:200]].float().mean()) - 104) < 40  # batches are shuffled again


def test_only_the_answer_is_a_label() -> None:
    loader = TextLoader(samples([5, 9], prompts=[2, 8]), [0, 1], 2, 0, 64, shuffle=False)
    (batch,) = loader.epoch(0)
    assert batch.labels[0].tolist() == [-100, -100, 1, 1, 1] + [-100] * 11
    assert (batch.labels[1] != -100).sum() == 1
    assert batch.teacher is None


def test_too_few_samples_make_no_batch() -> None:
    with pytest.raises(InvalidConfig):
        TextLoader(samples([3]), [0], 1, 0, 8, rank=1, world=2)
