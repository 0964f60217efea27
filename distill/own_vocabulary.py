"""Why a text student cannot have the vocabulary that `vocab_size` asks for. Said alike before a job is queued, by what
the teacher's inspection tells, and in its run, by the tokenizer itself."""

from __future__ import annotations

from distill.errors import InvalidConfig

KINDS = ("WordPiece", "WordLevel")
"""Of tokenizer.json. A token that is taken out of them leaves the others as they are; BPE's are merged of each other,
and a unigram model's are chosen by their probabilities together."""
_SIZE, _LEAVE = "vocab_size", "Leave vocab_size out."


def of_a_decoder() -> InvalidConfig:
    message = "A decoder that answers has its teacher's vocabulary: their logits are compared token by token."
    return InvalidConfig(message, _LEAVE, {"field": _SIZE})


def not_reducible(kind: str = "") -> InvalidConfig:
    """`kind`: the tokenizer's model, where it is known."""
    whose = f"is a {kind} model, whose vocabulary" if kind else f"is neither {' nor '.join(KINDS)}, and its vocabulary"
    return InvalidConfig(
        f"The teacher's tokenizer {whose} cannot be reduced.",
        f"Leave vocab_size out, or use a teacher with a tokenizer of the kind {' or '.join(KINDS)}.",
        {"field": _SIZE, "known": list(KINDS)} | ({"tokenizer": kind} if kind else {}),
    )


def too_few(size: int, least: int) -> InvalidConfig:
    return InvalidConfig(
        f"vocab_size is {size:,}, but special tokens and single characters are {least:,} tokens.",
        f"Set vocab_size to {least:,} or more.",
        {"field": _SIZE, "value": size, "least": least},
    )


def too_many(size: int, most: int) -> InvalidConfig:
    return InvalidConfig(
        f"vocab_size is {size:,}, but the teacher has {most:,} tokens.",
        "Ask for fewer, or leave vocab_size out.",
        {"field": _SIZE, "value": size, "most": most},
    )


def tokens_apart() -> InvalidConfig:
    return InvalidConfig(
        "A student with a vocabulary of its own cuts other tokens: they do not pair with the teacher's.",
        "Set text_features to mean or cls, or leave vocab_size out.",
        {"field": "text_features", "value": "tokens"},
    )
