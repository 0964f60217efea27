"""Text tables as people have them, from the bytes that they upload to the texts that are learnt."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.errors import InvalidDataset
from distill.modalities.images import inspect
from distill.modalities.text import RawText, open_raw_text, recognised
from distill.types import DatasetInput
from store.formats import KINDS, detect

N = 20
TWO = [f"text {i},{('neg', 'pos')[i % 2]}" for i in range(N)]


def upload(path: Path, data: bytes) -> DatasetInput:
    """What the service makes of an upload, whose name says nothing."""
    (path / "upload").write_bytes(data)
    form = detect(path / "upload")
    assert form is not None
    return recognised(DatasetInput(kind=KINDS[form], name="x", files={"all": str(path / "upload")}))


def read(path: Path, data: bytes) -> RawText:
    given = upload(path, data)
    assert given.kind == "text"
    return open_raw_text(given)


def csv(head: str, rows: list[str], end: str = "\n", separator: str = ",") -> bytes:
    return (end.join([head, *(row.replace(",", separator) for row in rows)]) + end).encode()


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize(
    "data",
    [
        csv("text,label", TWO), csv("Text,Label", TWO), csv("review,sentiment", TWO), csv("Message,Category", TWO),
        csv("Tweet Text,Class", TWO), csv("comment_text,target", TWO), csv("TITLE,category", TWO),
        b"\xef\xbb\xbf" + csv("text,label", TWO, "\r\n"), b"sep=,\r\n" + csv("text,label", TWO, "\r\n"),
        b"sep=;\n" + csv("text;label", TWO, separator=";"), b'"sep=\t"\n' + csv("text\tlabel", TWO, separator="\t"),
        b"\xef\xbb\xbfSEP=;\n" + csv("text;label", TWO, separator=";"), csv("text\tlabel", TWO, separator="\t"),
        csv(",text,label", [f"{i},{row}" for i, row in enumerate(TWO)]),
        csv("text,label,,,", [f"{row},,," for row in TWO]),
        csv("url,text,label,path", [f"http://x,{row},p" for row in TWO]),
        gzip.compress(csv("text,label", TWO), mtime=0),
        gzip.compress(lines([{"text": row, "label": "ab"[i % 2]} for i, row in enumerate(TWO)]), mtime=0),
        json.dumps([{"text": row, "label": "ab"[i % 2]} for i, row in enumerate(TWO)], indent=4).encode(),
    ],
)  # fmt: skip
def test_labelled_texts(data: bytes, tmp_path: Path) -> None:
    found = read(tmp_path, data)
    assert (found.form, len(found.classes), len(found.train), len(found.test)) == ("texts", 2, 16, 4)
    assert all(text.startswith("text ") for text, _ in found.train.pairs)


@pytest.mark.parametrize(
    ("first", "second"), [("Sentence 1", "Sentence 2"), ("Premise", "HYPOTHESIS"), ("textA", "textB")]
)
def test_pairs_in_other_spellings(first: str, second: str, tmp_path: Path) -> None:
    found = read(tmp_path, csv(f"{first},{second},Label", [f"a {i},b,{i % 2}" for i in range(N)]))
    assert found.form == "pairs"
    assert found.train.pairs[0][1] == "b"


def exchange(*turns: tuple[str, str], role: str = "role", content: str = "content") -> list[dict[str, str]]:
    return [{role: who, content: said} for who, said in turns]


CHAT = (("system", "Be brief."), ("user", "Say 1"), ("assistant", "1"))
SHARED = (("system", "Be brief."), ("human", "Say 1"), ("gpt", "1"))


@pytest.mark.parametrize("layout", ["lines", "array", "indented", "gz", "parquet"])
@pytest.mark.parametrize(
    ("column", "turns"),
    [
        ("messages", exchange(*CHAT)),
        ("conversations", exchange(*SHARED, role="from", content="value")),
        ("Conversation", exchange(*CHAT)),
    ],
)
def test_conversations(layout: str, column: str, turns: list[dict[str, str]], tmp_path: Path) -> None:
    rows = [{"id": str(i), column: turns} for i in range(N)]
    data = {
        "lines": lines(rows), "array": json.dumps(rows).encode(), "indented": json.dumps(rows, indent=2).encode(),
        "gz": gzip.compress(lines(rows), mtime=0), "parquet": b"",
    }[layout]  # fmt: skip
    if layout == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "made")
        data = (tmp_path / "made").read_bytes()
    found = read(tmp_path, data)
    assert found.form == "messages"
    assert found.train.pairs[0] == ("### System:\nBe brief.\n\n### User:\nSay 1\n\n### Assistant:\n", "1")


def test_a_system_message_that_says_nothing_is_none(tmp_path: Path) -> None:
    turns = exchange(("system", " "), *CHAT[1:])
    assert read(tmp_path, lines([{"messages": turns}] * N)).train.pairs[0][0] == "### User:\nSay 1\n\n### Assistant:\n"


@pytest.mark.parametrize(
    ("turns", "word"),
    [
        (exchange(*CHAT, ("user", "thanks")), "last message of row 1 is not the assistant's"),
        (exchange(("user", "x"), ("tool", "sun"), ("assistant", "y")), "the role 'tool'"),
        (exchange(("system", ""), ("system", "")), "no message with text"),
        (exchange(("user", "x"), ("assistant", "")), "no role and text"),
    ],
)
def test_conversations_that_cannot_be_learnt_from(turns: list[dict[str, str]], word: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=word):
        read(tmp_path, lines([{"messages": turns}] * 3))


@pytest.mark.parametrize(
    ("data", "word", "remedy"),
    [
        (csv("text,stars", TWO), "none is known to hold the class", "`label`"),
        (csv("a,b", TWO), "its columns: a, b", "`text` and `label`"),
        (csv("file_name,label", TWO), "its columns: file_name, label", "in one zip"),
        (csv("image,what", TWO), "its columns: image, what", "`label`"),
        (csv("text,label", ["x,a", ",b"]), "row 2 has no text in column 'text'", "'text'"),
        (csv("text\tlabel", ['"Good , he said\ta'], separator=","), "row 1 of the file is no CSV", "quote"),
        (json.dumps({"data": [{"text": "a"}]}).encode(), "column 'data' of row 1", "that list alone"),
    ],
)  # fmt: skip
def test_the_remedy_is_about_this_file(data: bytes, word: str, remedy: str, tmp_path: Path) -> None:
    given = upload(tmp_path, data)
    with pytest.raises(InvalidDataset, match=word) as caught:
        open_raw_text(given) if given.kind == "text" else inspect(given)
    assert remedy in caught.value.remedy


def labelled(names: list[str], labels: list[int]) -> pa.Table:
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    made = pa.table({"text": [f"text {i}" for i in range(len(labels))], "label": labels})
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def test_names_of_a_class_label_in_their_own_order(tmp_path: Path) -> None:
    """A teacher's logit i means name i, so the alphabet must not reorder them."""
    pq.write_table(labelled(["World", "Sports", "Business"], [0, 1] * 10), tmp_path / "made")
    found = read(tmp_path, (tmp_path / "made").read_bytes())
    assert found.classes == ("World", "Sports")
    assert "1 of 3 class names have no training rows and were left out: Business." in found.notes
    assert found.train.labels.tolist()[:2] == [0, 1]


@pytest.mark.parametrize("label", [-1, 3])
def test_numbers_without_a_name(label: int, tmp_path: Path) -> None:
    pq.write_table(labelled(["World", "Sports"], [0, 1, label]), tmp_path / "made")
    with pytest.raises(InvalidDataset, match=f"label {label}"):
        read(tmp_path, (tmp_path / "made").read_bytes())
