"""Students with a vocabulary of their own: the tokenizer is cut down, and reads alone what the run trained on."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from distill.errors import InvalidConfig
from distill.modalities.text import TextLoader, tokenise
from distill.modalities.text.loader import Taught
from distill.models.language import Tokens, examine, load, make_student, open_folder
from distill.models.language.measure import sized
from distill.models.language.vocabulary import count_tokens, reduce, smallest
from distill.student import load_student
from distill.tasks.candidates import shrunk
from distill.types import Architecture, DatasetInput, RunSpec, TeacherInput
from tests.language import tiny
from tests.language.test_run import config, given, go, texts

CLASSES = ("class0", "class1", "class2")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz,.?"
PIECES = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *(word for word in tiny.WORDS if len(word) > 1)]
ALWAYS = len(SPECIAL) + 2 * len(LETTERS)


def wordpiece(folder: Path) -> None:
    """BERT's own layout, padding token first; the rarest words last."""
    made = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.add_special_tokens(SPECIAL)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names | {"tokenizer_class": "PreTrainedTokenizerFast"}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "model"
    numbers = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": None, "eos_token_id": None}
    tiny.save(tiny.network("bert", vocab_size=len(PIECES), **numbers), path)
    wordpiece(path)
    return path


@pytest.fixture(scope="module")
def opened(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Tokens]:
    found = open_folder(folder, tmp_path_factory.mktemp("scratch"))
    network: Any = load(found, "classify", CLASSES)[0]
    return network, Tokens.load(found, network.config)


def test_the_most_used_tokens_stay_with_special_ones_and_characters(opened: tuple[Any, Tokens], tmp_path: Path) -> None:
    _, tokens = opened
    counts = count_tokens(tokens, ["today today fish", "fish today near"])
    assert counts == {PIECES.index("today"): 3, PIECES.index("fish"): 2, PIECES.index("near"): 1}
    own = reduce(tokens, counts, ALWAYS + 2, tmp_path / "own")
    kept = [PIECES[number] for number in own.kept]
    assert kept == [piece for piece in PIECES if piece in {*PIECES[:ALWAYS], "today", "fish"}]
    known = own.tokens.tokenizer.get_vocab()
    assert sorted(known, key=known.__getitem__) == kept
    assert own.tokens.decode(own.tokens.plain(["Today near fish"])[0]) == "today near fish"
    assert own.tokens.plain(["near"])[0] == [kept.index(piece) for piece in ("n", "##e", "##a", "##r")]
    assert (own.tokens.pad, smallest(tokens.tokenizer)) == (kept.index("[PAD]"), ALWAYS)
    everything = reduce(tokens, counts, len(PIECES), tmp_path / "all").tokens
    assert everything.plain(["the cat sleeps, near?"]) == tokens.plain(["the cat sleeps, near?"])


def test_transformers_reads_the_reduced_tokenizer_alone(opened: tuple[Any, Tokens], tmp_path: Path) -> None:
    _, tokens = opened
    own = reduce(tokens, {PIECES.index("swims"): 1}, ALWAYS + 1, tmp_path / "own").tokens
    (tmp_path / "own" / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": ALWAYS + 1}))
    theirs = AutoTokenizer.from_pretrained(tmp_path / "own")
    for text, second in (("The fish swims.", None), ("a cat", "it swims")):
        assert theirs(text, second)["input_ids"] == own.encode([(text, second)], 64)[0].ids


def test_a_start_takes_the_rows_of_the_tokens_that_stay(opened: tuple[Any, Tokens], tmp_path: Path) -> None:
    teacher, tokens = opened
    own = reduce(tokens, {PIECES.index("today"): 5}, ALWAYS + 1, tmp_path / "own")
    wanted = Architecture(name="transformers:auto", options={"layers": 2, "vocab_size": ALWAYS + 1})
    made = make_student(wanted, teacher, "classify", CLASSES, kept=own.kept)
    rows: Any = made.network.get_input_embeddings()  # type: ignore[operator]
    assert torch.equal(rows.weight, teacher.get_input_embeddings().weight[list(own.kept)])
    assert (made.architecture.options["vocab_size"], made.architecture.options["initialise"]) == (ALWAYS + 1, "teacher")
    counted = sized(teacher.config.to_dict() | {"model_type": "bert"}, "classify", 3, wanted)
    assert counted.vocab_size == rows.weight.shape[0]


@pytest.mark.parametrize(
    ("size", "task"), [(ALWAYS - 1, "classify"), (len(PIECES) + 1, "classify"), (ALWAYS, "generate")]
)
def test_a_vocabulary_that_cannot_be_is_refused(
    size: int, task: Any, opened: tuple[Any, Tokens], tmp_path: Path
) -> None:
    teacher, tokens = opened
    wanted = Architecture(name="transformers:auto", options={"vocab_size": size})
    with pytest.raises(InvalidConfig) as refused:
        make_student(wanted, teacher, task, CLASSES, kept=reduce(tokens, {}, size, tmp_path / "own").kept)
    assert refused.value.details["field"] == "vocab_size"


def test_a_tokenizer_of_merges_is_refused_by_name(tmp_path: Path) -> None:
    merges = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
    with pytest.raises(InvalidConfig) as refused:
        reduce(Tokens(merges, {}, {"pad": 0, "bos": None, "eos": None}, 3, 0), {}, 2, tmp_path / "own")
    assert (refused.value.details["tokenizer"], smallest(merges)) == ("BPE", 0)


def test_the_teacher_reads_its_own_tokens_of_the_same_texts(opened: tuple[Any, Tokens], tmp_path: Path) -> None:
    _, tokens = opened
    own = reduce(tokens, {}, ALWAYS, tmp_path / "own").tokens
    pairs = [("the cat sleeps near", None), ("fish", None)]
    ours, theirs = (tokenise(pairs, torch.zeros(2), each, 64) for each in (own, tokens))
    loader = TextLoader(ours, [0, 1], 2, own.pad, 64, shuffle=False, teacher=True, taught=Taught(theirs, tokens.pad))
    batch = next(loader.epoch(0))
    assert batch.teacher is not None
    for inputs, each in ((batch.student, own), (batch.teacher, tokens)):
        for row, (text, _) in enumerate(pairs):
            assert (
                inputs["input_ids"][row, inputs["attention_mask"][row].bool()].tolist()
                == each.encode([(text, None)], 64)[0].ids
            )


def test_budgets_offer_smaller_vocabularies_where_the_tokenizer_reduces(folder: Path, tmp_path: Path) -> None:
    found = examine(open_folder(folder, tmp_path)).to_dict()
    assert found["smallest_vocabulary"] == ALWAYS
    teacher = found | {"vocabulary": 30_522, "smallest_vocabulary": 1_999}
    sizes = {chain.members[0].options.get("vocab_size") for chain in shrunk(teacher, "transformers:bert", reduced=True)}
    assert sizes == {None, 2_000, 4_000, 8_000, 16_000}
    for told in (
        teacher | {"smallest_vocabulary": 0},
        {k: v for k, v in teacher.items() if k != "smallest_vocabulary"},
    ):
        assert all(
            "vocab_size" not in member.options
            for chain in shrunk(told, "bert", reduced=True)
            for member in chain.members
        )


STUDENT = Architecture(name="transformers:auto", options={"layers": 2, "width": 8, "vocab_size": ALWAYS + 4})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    return texts(tmp_path_factory.mktemp("data"), 120)


@pytest.fixture(scope="module")
def teacher(data: DatasetInput, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TeacherInput:
    """Of the dataset's classes, from a job."""
    made = tmp_path_factory.mktemp("tuned")
    auto = Architecture(name="transformers:auto")
    tuning = config(recipe="cross_entropy", epochs=2)
    network: Any = load(open_folder(folder, made / "scratch"), "classify", CLASSES)[0]
    base = tiny.save(network.bert, made / "base")
    wordpiece(base)
    spec = RunSpec(config=tuning, student=auto, dataset=data, teacher=given(base, 0))
    go(spec, made / "job")
    return given(made / "job" / "artifacts" / "student.zip")


def test_a_run_delivers_a_student_that_answers_with_its_own_tokenizer(
    data: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    # Without the fit of the head, whose weights on so few samples are large enough to show the rounding of float32.
    how = config(recipe="feature_logit", cache_teacher=True, fit_head=False)
    go(RunSpec(config=how, student=STUDENT, dataset=data, teacher=teacher), tmp_path)
    path = tmp_path / "artifacts" / "student.zip"
    student = load_student(path)
    assert student.model.get_input_embeddings().weight.shape == (ALWAYS + 4, 8)
    zipfile.ZipFile(path).extractall(tmp_path / "plain")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain").eval()
    asked = ["the bird sleeps near", "good cat runs"]
    cut = {"truncation": True, "max_length": student.preprocessing.max_length, "return_tensors": "pt"}
    with torch.inference_mode():
        theirs = [model(**tokenizer([text], **cut)).logits.softmax(1)[0] for text in asked]
    torch.testing.assert_close(torch.stack(theirs), student.probabilities(asked), atol=1e-5, rtol=1e-4)


def test_rows_of_single_tokens_are_refused(data: DatasetInput, teacher: TeacherInput, tmp_path: Path) -> None:
    spec = RunSpec(config=config(text_features="tokens"), student=STUDENT, dataset=data, teacher=teacher)
    with pytest.raises(InvalidConfig) as refused:
        go(spec, tmp_path)
    assert refused.value.details["field"] == "text_features"
