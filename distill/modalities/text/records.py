"""What a row means: a labelled text, a labelled pair of texts, or an instruction with its answer. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NoReturn

from distill.data.labelled import bad_name
from distill.data.rows import is_text
from distill.errors import InvalidDataset

Kind = Literal["classify", "generate"]
Form = Literal["texts", "pairs", "instructions", "messages"]
KINDS: Mapping[Form, Kind] = MappingProxyType(
    {"texts": "classify", "pairs": "classify", "instructions": "generate", "messages": "generate"}
)
TEXT = ("text", "sentence", "content", "document", "review", "tweet")
PAIRS = (
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
)
LABEL = ("label", "labels", "class", "category", "target")
INSTRUCTION, ANSWER = ("instruction", "prompt"), ("output", "response", "completion")
REMEDY = (
    "Name the columns `text` and `label`; `sentence1`, `sentence2` and `label`; `instruction`, `input` and `output`; "
    "or `messages` (a list of role and content, the last by the assistant)."
)
ROLES = {"system": "System", "user": "User", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class Record:
    """`second`: the pair's other text, or the answer to an instruction. `label`: as it was written; None: none."""

    first: str
    second: str | None
    label: str | int | None


def refuse(what: str, **details: object) -> NoReturn:
    raise InvalidDataset(f"The text dataset was refused: {what}.", REMEDY, details)


Reader = Callable[[Mapping[str, Any], int], Record]


def reader(columns: Sequence[str]) -> tuple[Form, Reader]:
    """What the columns make of a row. Raises `InvalidDataset` for columns that make nothing."""
    label = next((name for name in LABEL if name in columns), None)
    if "messages" in columns:
        return "messages", lambda row, number: _chat(row, number, label)
    instruction = next((name for name in INSTRUCTION if name in columns), None)
    answer = next((name for name in ANSWER if name in columns), None)
    if instruction and answer:
        return "instructions", lambda row, number: _instruction(row, number, instruction, answer, label)
    pair = next((pair for pair in PAIRS if all(name in columns for name in pair)), None)
    text = next((name for name in TEXT if name in columns), None)
    if label is None or not (pair or text):
        refuse(f"its columns are {', '.join(list(columns)[:12])}", columns=list(columns)[:50])
    if pair:
        return "pairs", lambda row, number: Record(*_texts(row, number, pair), _label(row, number, label))
    assert text is not None
    return "texts", lambda row, number: Record(_text(row, number, text), None, _label(row, number, label))


def _texts(row: Mapping[str, Any], number: int, pair: tuple[str, str]) -> tuple[str, str]:
    return _text(row, number, pair[0]), _text(row, number, pair[1])


def _text(row: Mapping[str, Any], number: int, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        refuse(f"row {number} has no text in column {column!r}", row=number, column=column)
    return value


def _label(row: Mapping[str, Any], number: int, column: str | None) -> str | int | None:
    if column is None:
        return None
    value = row.get(column)
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        value = str(value)
    if isinstance(value, float):
        value = int(value)
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "" or not isinstance(value, str | int):
        refuse(f"row {number} has no label in column {column!r}", row=number, column=column)
    if why := bad_name(str(value)):
        refuse(f"the label of row {number} {why}", row=number)
    return value


def _instruction(row: Mapping[str, Any], number: int, instruction: str, answer: str, label: str | None) -> Record:
    extra = row.get("input")
    asked = prompt_of(_text(row, number, instruction), extra if isinstance(extra, str) else "")
    return Record(asked, _text(row, number, answer), _label(row, number, label))


def prompt_of(instruction: str, extra: str = "") -> str:
    """The prompt of an instruction (**our choice** of words, the same for training and evaluation)."""
    given = f"\n\n### Input:\n{extra.strip()}" if extra.strip() else ""
    return f"### Instruction:\n{instruction.strip()}{given}\n\n### Response:\n"


def _chat(row: Mapping[str, Any], number: int, label: str | None) -> Record:
    """The last message is the answer, those before it the prompt."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not 2 <= len(messages) <= 1000:
        refuse(f"row {number} has no list of at least two messages", row=number)
    turns = [_turn(message, number) for message in messages]
    if turns[-1][0] != "Assistant":
        refuse(f"the last message of row {number} is not the assistant's", row=number)
    return Record(_talk(turns[:-1]), turns[-1][1], _label(row, number, label))


def talk_of(messages: Sequence[Mapping[str, str]]) -> str:
    """The prompt of a conversation so far: messages with `role` (system, user, assistant) and `content`."""
    return _talk([_turn(message, number) for number, message in enumerate(messages, start=1)])


def _talk(turns: Sequence[tuple[str, str]]) -> str:
    said = "".join(f"### {role}:\n{content.strip()}\n\n" for role, content in turns)
    return f"{said}### Assistant:\n"


def _turn(message: Any, number: int) -> tuple[str, str]:
    role = message.get("role") if isinstance(message, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(role, str) or role not in ROLES or not isinstance(content, str) or not content.strip():
        refuse(f"a message of row {number} has no known role (system, user, assistant) or no text", row=number)
    if not is_text(content):
        refuse(f"a message of row {number} holds characters that no text has", row=number)
    return ROLES[role], content
