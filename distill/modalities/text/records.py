"""What a row means: a labelled text, a labelled pair of texts, or an instruction with its answer. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NoReturn

from distill.data.columns import ANSWER, CHATS, EXTRA, INSTRUCTION, LABELS, PAIRS, TEXT, find
from distill.data.labelled import checked_label
from distill.data.row_checks import is_text
from distill.errors import InvalidDataset

Kind = Literal["classify", "generate"]
Form = Literal["texts", "pairs", "instructions", "messages"]
KINDS: Mapping[Form, Kind] = MappingProxyType(
    {"texts": "classify", "pairs": "classify", "instructions": "generate", "messages": "generate"}
)
REMEDY = (
    "Name the columns `text` and `label`; `sentence1`, `sentence2` and `label`; `instruction`, `input` and `output`; "
    "or `messages` (a list of role and content, the last by the assistant)."
)
ROLES = {"system": "System", "user": "User", "assistant": "Assistant"}
SHARED_GPT = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant"}
"""What ShareGPT's `conversations` call the roles, in `from` beside `value`."""


@dataclass(frozen=True, slots=True)
class Record:
    """`second`: the pair's other text, or the answer to an instruction. `label`: as `label_of` reads it; None: none."""

    first: str
    second: str | None
    label: str | None


def refuse(what: str, remedy: str = REMEDY, **details: object) -> NoReturn:
    raise InvalidDataset(f"The text dataset was refused: {what}.", remedy, details)


@dataclass(frozen=True, slots=True)
class Reader:
    """What a table's columns make of a row. `columns`: those that are read, `label` among them where there is one."""

    form: Form
    columns: tuple[str, ...]
    label: str | None
    read: Callable[[Mapping[str, Any], int], Record]


def reader(columns: Sequence[str]) -> Reader:
    """How rows with these columns are read. Raises `InvalidDataset` for columns that make nothing."""
    label = find(columns, LABELS)
    labels = (label,) if label else ()
    if chat := find(columns, CHATS):
        return Reader("messages", (chat, *labels), label, lambda row, number: _chat(row, number, chat, label))
    instruction, answer, extra = (find(columns, names) for names in (INSTRUCTION, ANSWER, EXTRA))
    if instruction and answer:
        asked = (instruction, extra or "")
        read = (*filter(None, asked), answer, *labels)
        return Reader("instructions", read, label, lambda row, number: _instruction(row, number, asked, answer, label))
    return _labelled(columns, label)


def _labelled(columns: Sequence[str], label: str | None) -> Reader:
    pair = next((both for names in PAIRS if all(both := [find(columns, (name,)) for name in names])), None)
    text = find([column for column in columns if column != label], TEXT)
    texts = [name for name in pair or [text] if name]
    if not texts:
        refuse(f"its columns are {', '.join(list(columns)[:12])}", columns=list(columns)[:50])
    if label is None:
        shown = ", ".join(list(columns)[:12])
        what = f"its columns are {shown}: {texts[0]!r} holds texts, but none is known to hold the class"
        refuse(what, "Name the column that holds the class `label`.", columns=list(columns)[:50])
    second = texts[1] if pair else None
    return Reader(
        "pairs" if pair else "texts",
        (*texts, label),
        label,
        lambda row, number: Record(
            _text(row, number, texts[0]), _text(row, number, second) if second else None, _label(row, number, label)
        ),
    )


def _text(row: Mapping[str, Any], number: int, column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        remedy = f"Fill column {column!r} of that row or remove it (pandas: `df[df[{column!r}].str.strip() != '']`)."
        refuse(f"row {number} has no text in column {column!r}", remedy, row=number, column=column)
    return value


def _label(row: Mapping[str, Any], number: int, column: str | None) -> str | None:
    return None if column is None else checked_label(row.get(column), column, number, "the table")


def _instruction(row: Mapping[str, Any], number: int, asked: tuple[str, str], answer: str, label: str | None) -> Record:
    instruction, extra = asked[0], row.get(asked[1])
    prompt = prompt_of(_text(row, number, instruction), extra if isinstance(extra, str) else "")
    return Record(prompt, _text(row, number, answer), _label(row, number, label))


def prompt_of(instruction: str, extra: str = "") -> str:
    """The prompt of an instruction (**our choice** of words, the same for training and evaluation)."""
    given = f"\n\n### Input:\n{extra.strip()}" if extra.strip() else ""
    return f"### Instruction:\n{instruction.strip()}{given}\n\n### Response:\n"


def _chat(row: Mapping[str, Any], number: int, column: str, label: str | None) -> Record:
    """The last message is the answer, those before it the prompt."""
    messages = row.get(column)
    if not isinstance(messages, list) or not 2 <= len(messages) <= 1000:
        refuse(f"row {number} has no list of at least two messages in column {column!r}", row=number)
    turns = _turns(messages, number)
    if turns[-1][0] != "Assistant":
        remedy = "End the conversation with the assistant's answer, which is what is learnt, or remove the row."
        refuse(f"the last message of row {number} is not the assistant's", remedy, row=number)
    return Record(_talk(turns[:-1]), turns[-1][1], _label(row, number, label))


def talk_of(messages: Sequence[Mapping[str, str]]) -> str:
    """The prompt of a conversation so far: messages with `role` (system, user, assistant) and `content`."""
    return _talk(_turns(messages, 1))


def _talk(turns: Sequence[tuple[str, str]]) -> str:
    said = "".join(f"### {role}:\n{content.strip()}\n\n" for role, content in turns)
    return f"{said}### Assistant:\n"


def _turns(messages: Sequence[Any], number: int) -> list[tuple[str, str]]:
    """(role, content) of each message; a system message that is empty says nothing."""
    said = [_said(message) for message in messages]
    kept = [turn for turn in said if not (turn[0] == "system" and isinstance(turn[1], str) and not turn[1].strip())]
    if not kept:
        refuse(f"row {number} has no message with text", row=number)
    return [_turn(role, content, number) for role, content in kept]


def _said(message: Any) -> tuple[Any, Any]:
    """A message's role and content, in the words of `messages` or of ShareGPT."""
    if not isinstance(message, dict):
        return None, None
    role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
    return (SHARED_GPT.get(role, role) if isinstance(role, str) else None), content


def _turn(role: Any, content: Any, number: int) -> tuple[str, str]:
    if not isinstance(role, str) or role not in ROLES or not isinstance(content, str) or not content.strip():
        what = f"the role {role[:40]!r}" if isinstance(role, str) and role not in ROLES else "no role and text"
        remedy = "Keep messages of system, user and assistant with text; calls of tools are not learnt."
        refuse(
            f"a message of row {number} has no known role (system, user, assistant) or no text: {what}",
            remedy,
            row=number,
        )
    if not is_text(content):
        refuse(f"a message of row {number} holds characters that no text has", row=number)
    return ROLES[role], content
