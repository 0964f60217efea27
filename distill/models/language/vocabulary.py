"""A tokenizer with fewer tokens: those that some texts use most.

Trimming a vocabulary to the tokens of one's texts: Abdaoui et al., "Load What You Need", arXiv:2010.05609; a student
with a vocabulary smaller than its teacher's: Zhao et al., "Extremely Small BERT Models from Mixed-Vocabulary Training",
arXiv:1909.11687.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from distill import own_vocabulary
from distill.models.language.tokenizer import FILE, SETTINGS, Tokens
from distill.own_vocabulary import KINDS

_NAMES = "special_tokens_map.json"
_CHUNK = 2048


@dataclass(frozen=True)
class Reduced:
    """`kept`: the number that each token had before, ascending: token i was token `kept`[i]."""

    tokens: Tokens
    kept: tuple[int, ...]


def smallest(tokenizer: Tokenizer) -> int:
    """The fewest tokens that a reduced vocabulary may have; 0 where the tokenizer cannot be reduced."""
    told = json.loads(tokenizer.to_str())
    return len(_always(told)) if told["model"]["type"] in KINDS else 0


def count_tokens(tokens: Tokens, texts: Sequence[str]) -> Counter[int]:
    """Token -> how often the texts have it, special tokens that a template adds left out."""
    found = Counter[int]()
    for start in range(0, len(texts), _CHUNK):
        for row in tokens.plain(texts[start : start + _CHUNK]):
            found.update(row)
    return found


def reduce(tokens: Tokens, counts: Mapping[int, int], size: int, folder: Path) -> Reduced:
    """A tokenizer of at most `size` tokens, its files written to `folder`, which is made.

    Kept are the added and special tokens, every token of a single character (so that every word that had tokens has
    some), and of the others those of the largest `counts`; between equals the one that comes first. Tokens keep their
    order. Raises `InvalidConfig` for a tokenizer whose model is not one of `KINDS`, and for a `size` that does not hold
    what is always kept.
    """
    told = json.loads(tokens.tokenizer.to_str())
    kind = told["model"]["type"]
    if kind not in KINDS:
        raise own_vocabulary.not_reducible(kind)
    always = _always(told) | {each for each in (tokens.pad, tokens.bos, tokens.eos) if each is not None}
    if size < len(always):
        raise own_vocabulary.too_few(size, len(always))
    rest = sorted(set(_numbers(told)) - always, key=lambda number: (-counts.get(number, 0), number))
    kept = tuple(sorted(always.union(rest[: size - len(always)])))
    new = {old: number for number, old in enumerate(kept)}
    folder.mkdir(parents=True)
    (folder / FILE).write_text(json.dumps(_renumbered(told, new), ensure_ascii=False), encoding="utf-8")
    for name in (SETTINGS, _NAMES):
        if name in tokens.files:
            settings = json.loads(tokens.files[name].read_text(encoding="utf-8"))
            (folder / name).write_text(json.dumps(_settings(settings, new), indent=2) + "\n", encoding="utf-8")
    return Reduced(tokens.renumbered(folder, new, size), kept)


def _numbers(told: Mapping[str, Any]) -> Iterable[int]:
    yield from told["model"]["vocab"].values()
    yield from (each["id"] for each in told["added_tokens"])


def _always(told: Mapping[str, Any]) -> set[int]:
    model, prefix = told["model"], told["model"].get("continuing_subword_prefix") or ""
    vocabulary: dict[str, int] = model["vocab"]
    kept = {number for token, number in vocabulary.items() if len(token.removeprefix(prefix)) == 1}
    kept |= {each["id"] for each in told["added_tokens"]} | {vocabulary[each] for each in _template(told, vocabulary)}
    unknown = model.get("unk_token")
    return kept | ({vocabulary[unknown]} if unknown in vocabulary else set())


def _processors(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What adds special tokens, one by one."""
    processor = told.get("post_processor")
    if not processor:
        return []
    return list(processor["processors"]) if processor["type"] == "Sequence" else [processor]


def _template(told: Mapping[str, Any], vocabulary: Mapping[str, int]) -> list[str]:
    found = list[str]()
    for each in _processors(told):
        found += [token for special in each.get("special_tokens", {}).values() for token in special["tokens"]]
        found += [each[end][0] for end in ("cls", "sep") if end in each]
    return [token for token in found if token in vocabulary]


def _renumbered(told: dict[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    """tokenizer.json with the tokens of `new` alone, under their new numbers."""
    vocabulary = told["model"]["vocab"]
    kept = sorted((new[number], token) for token, number in vocabulary.items() if number in new)
    told["model"]["vocab"] = {token: number for number, token in kept}
    for added in told["added_tokens"]:
        added["id"] = new[added["id"]]
    for each in _processors(told):
        for special in each.get("special_tokens", {}).values():
            special["ids"] = [new[number] for number in special["ids"]]
        for end in ("cls", "sep"):
            if end in each:
                each[end] = [each[end][0], new[each[end][1]]]
    return told | {"padding": None, "truncation": None}


def _settings(settings: dict[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    """tokenizer_config.json, whose table of added tokens goes by their numbers."""
    if (table := settings.get("added_tokens_decoder")) is None:
        return settings
    return settings | {
        "added_tokens_decoder": {str(new[int(old)]): told for old, told in table.items() if int(old) in new}
    }
