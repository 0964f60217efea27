"""A Hugging Face tokenizer as GGUF has it: byte-level BPE, and the name that llama.cpp has for its way of splitting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from distill.not_exportable import NotExportable
from distill.same_answers import ExportDiffers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
NAMES: Mapping[tuple[str, ...], str] = {
    (GPT2,): "gpt-2",
    ("digits", GPT2): "smollm",
    (QWEN2,): "qwen2",
    (LLAMA3,): "llama-bpe",
}
"""llama.cpp's names of ways to split a text, by what is done to it one after the other."""
IGNORING_MERGES = frozenset({"llama-bpe"})
"""Those under which llama.cpp takes a word that is a token itself as that token, whatever the merges say."""
NORMAL, CONTROL, ADDED, UNUSED = 1, 3, 4, 5  # llama_token_type
PROBES = (
    "The cat sat on 12 mats, 3456789 times; it's THEY'LL we\u2019re don't.", "  two  spaces\n\n\nlines\r\n\ttabs   ",
    "\u00e9\u4f60\u597d \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \U0001f600",
    "\U0001f469\u200d\U0001f680 \u0967\u0968\u0969 x\u00b2", "f(x)=a[1:]**2//3 # --> {ok}", " ", "\n",
)  # fmt: skip
"""Texts on which ways of splitting differ: digits, contractions, space, lines, other scripts, signs."""
REMEDY = (
    "Use student.zip, which transformers reads, or a teacher whose tokenizer is byte-level BPE as GPT-2, SmolLM, Llama "
    "3 or Qwen2 have it."
)


@dataclass(frozen=True)
class Vocabulary:
    """`pre`: llama.cpp's name of the way to split; `tokens`, `kinds` by number; `merges` as "a b"; `special`: bos, eos
    and pad, where they are."""

    pre: str
    tokens: list[str]
    kinds: list[int]
    merges: list[str]
    special: dict[str, int]


def vocabulary(tokens: Any, size: int, title: str) -> Vocabulary:
    """`tokens`: a `distill.models.language.Tokens`; `size`: how many the network embeds. Rows without a token get one
    that no text has. Raises `NotExportable` for a tokenizer that llama.cpp has no name for."""
    told = json.loads(tokens.tokenizer.to_str())
    pre = _name(told, title)
    model, added = told["model"], told["added_tokens"]
    texts, kinds = dict[int, str](), dict[int, int]()
    for text, number in model["vocab"].items():
        texts[number], kinds[number] = text, NORMAL
    for each in added:
        texts[each["id"]], kinds[each["id"]] = each["content"], CONTROL if each["special"] else ADDED
    taken = set(texts.values())
    for number in range(size):
        if number not in texts:
            texts[number], kinds[number] = _free(f"[UNUSED{number}]", taken), UNUSED
    merges = [each if isinstance(each, str) else " ".join(each) for each in model["merges"]]
    ends = {"bos": tokens.bos, "eos": tokens.eos, "pad": tokens.pad}
    special = {name: int(number) for name, number in ends.items() if number is not None}
    order = range(size)
    return Vocabulary(pre, [texts[i] for i in order], [kinds[i] for i in order], merges, special)


def check_tokens(run: Any, tokens: Any, texts: Iterable[str], title: str) -> int:
    """Compare llama.cpp's tokens of the texts, of texts on which ways of splitting differ, and what it puts before a
    prompt, with the student's own; how many texts there were. Raises `ExportDiffers`."""
    named = [each["content"] for each in json.loads(tokens.tokenizer.to_str())["added_tokens"]]
    probes = [*PROBES, *(f"a {name} b{name}c" for name in named[:100])]
    count = 0
    first = [] if tokens.bos is None else [tokens.bos]
    cases = ((text, tokens.plain([text])[0], run.tokenise(text)) for text in (*probes, *texts))
    for text, wanted, found in chain([("", first, run.tokenise("", whole=True))], cases):
        if wanted != found:
            raise ExportDiffers(
                f"The {title} file is not the student: llama.cpp cuts the text {text[:80]!r} into other tokens. "
                "It was not kept.",
                "Use student.zip: llama.cpp splits texts of this tokenizer otherwise.",
                {"format": title, "text": text[:200], "wanted": wanted[:50], "found": found[:50]},
            )
        count += 1
    return count


def _free(text: str, taken: set[str]) -> str:
    while text in taken:
        text = f"[{text}]"
    taken.add(text)
    return text


def _name(told: Mapping[str, Any], title: str) -> str:
    """llama.cpp's name for this tokenizer.json. Raises `NotExportable`."""
    model, normaliser = told["model"], told.get("normalizer")
    if model["type"] != "BPE":
        raise _refused(f"its tokenizer is a {model['type']}, not byte-level BPE", title)
    odd = [name for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix") if model.get(name)]
    odd += ["byte_fallback"] if model.get("byte_fallback") else []
    if odd:
        raise _refused(f"its tokenizer's BPE has {' and '.join(odd)}", title)
    if normaliser is not None and normaliser["type"] != "NFC":  # texts that NFC changes are compared as all others
        raise _refused(f"its tokenizer normalises texts by {normaliser['type']}", title)
    steps = _steps(told.get("pre_tokenizer"), title)
    name = NAMES.get(steps)
    if name is None:
        shown = " then ".join(steps)[:200]
        raise _refused(f"llama.cpp has no name known here for its tokenizer's way of splitting, {shown}", title)
    ignoring = bool(model.get("ignore_merges"))
    if ignoring != (name in IGNORING_MERGES):
        told_of = "takes whole words before merges" if ignoring else "applies merges to words that are tokens"
        raise _refused(f"its tokenizer {told_of}, which llama.cpp's {name} does not", title)
    return name


def _steps(given: Mapping[str, Any] | None, title: str) -> tuple[str, ...]:
    """What a pre_tokenizer does, in order; bytes as characters, which all have, is left out."""
    if given is None:
        raise _refused("its tokenizer does not split texts", title)
    parts = given["pretokenizers"] if given["type"] == "Sequence" else [given]
    steps, bytewise = list[str](), False
    for part in parts:
        kind = part["type"]
        if kind == "ByteLevel":
            if part["add_prefix_space"]:
                raise _refused("its tokenizer puts a space before each text", title)
            bytewise = True
            steps += [GPT2] if part.get("use_regex", True) else []
        elif kind == "Digits" and part["individual_digits"]:
            steps.append("digits")
        elif kind == "Split" and _isolates(part):
            steps.append(str(part["pattern"]["Regex"]))
        else:
            raise _refused(f"its tokenizer splits texts by {kind} as llama.cpp does not", title)
    if not bytewise:
        raise _refused("its tokenizer's BPE is not byte-level", title)
    return tuple(steps)


def _isolates(part: Mapping[str, Any]) -> bool:
    return part["behavior"] == "Isolated" and not part.get("invert") and "Regex" in part["pattern"]


def _refused(why: str, title: str) -> NotExportable:
    return NotExportable(
        f"This student cannot be written as {title}: {why}.", REMEDY, {"format": title, "operator": None}
    )
