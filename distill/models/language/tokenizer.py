"""The teacher's tokenizer, which is the student's too: tokenizer.json read by the `tokenizers` library, no code run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedConfig

from distill.errors import InvalidTeacher
from distill.models.language.folder import SMALL_BYTES, TOKENIZER, Folder

FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
REMEDY = "Write one with `AutoTokenizer.from_pretrained(...).save_pretrained(folder)` and add the folder's files."
Pair = tuple[str, str | None]


@dataclass(frozen=True)
class Encoded:
    """One sample's tokens. `segments` (0 first text, 1 second) is empty where the model has no segments; `whole` is
    its length before truncation."""

    ids: list[int]
    segments: list[int]
    whole: int


class Tokens:
    """Text to token ids. `pad`, `bos`, `eos` are ids (`bos`, `eos` may be None)."""

    def __init__(self, tokenizer: Tokenizer, files: dict[str, Path], special: dict[str, int | None], segments: bool):
        self.tokenizer, self.files, self.segments = tokenizer, files, segments
        self.pad = special["pad"] if special["pad"] is not None else special["eos"] or 0
        self.bos, self.eos = special["bos"], special["eos"]

    @classmethod
    def load(cls, folder: Folder, config: PreTrainedConfig) -> Tokens:
        """Raises `InvalidTeacher` where there is none, or where it knows more tokens than the model."""
        path = folder.path / FILE
        if not path.is_file():
            raise InvalidTeacher("The model folder has no tokenizer.json.", REMEDY)
        if path.stat().st_size > SMALL_BYTES:
            raise InvalidTeacher(f"tokenizer.json has more than {SMALL_BYTES:,} bytes.", REMEDY)
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust library raises plain Exception
            raise InvalidTeacher(f"tokenizer.json cannot be read: {str(error)[:200]}", REMEDY) from error
        highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if highest >= config.vocab_size:
            raise InvalidTeacher(
                f"The tokenizer has token {highest}, the model embeds {config.vocab_size}.",
                "Send the tokenizer that the model was trained with.",
            )
        tokenizer.no_padding()
        tokenizer.no_truncation()
        files = {name: folder.path / name for name in sorted(TOKENIZER) if (folder.path / name).is_file()}
        segments = int(getattr(config, "type_vocab_size", 0) or 0) > 1
        return cls(tokenizer, files, _special(tokenizer, folder, config), segments)

    def encode(self, samples: Sequence[Pair], max_length: int) -> list[Encoded]:
        """Single texts or pairs (text, second text), with the tokenizer's special tokens, cut to `max_length` tokens:
        of a pair the longer text loses first."""
        self.tokenizer.no_truncation()
        whole = [len(one.ids) for one in self._batch(samples)]
        if max(whole, default=0) <= max_length:
            return [self._made(one, size) for one, size in zip(self._batch(samples), whole, strict=True)]
        self.tokenizer.enable_truncation(max_length, strategy="longest_first")
        try:
            return [self._made(one, size) for one, size in zip(self._batch(samples), whole, strict=True)]
        finally:
            self.tokenizer.no_truncation()

    def plain(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids without special tokens."""
        return [one.ids for one in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def same(self, other: Tokens) -> bool:
        """Whether both make the same tokens of every text and answer."""
        ends = (self.bos, self.eos) == (other.bos, other.eos)
        return ends and self.tokenizer.to_str() == other.tokenizer.to_str()

    def copy_to(self, folder: Path) -> None:
        """The files as they came. Where no tokenizer_config.json did, one that has transformers read tokenizer.json as
        it is, instead of what the model's family usually has."""
        if SETTINGS not in self.files:
            (folder / SETTINGS).write_text(json.dumps(self._settings(), indent=2) + "\n", encoding="utf-8")
        for name, path in self.files.items():
            if path.resolve() != (folder / name).resolve():
                shutil.copyfile(path, folder / name)

    def _settings(self) -> dict[str, Any]:
        numbers = {"pad_token": self.pad, "bos_token": self.bos, "eos_token": self.eos}
        found = {name: self.tokenizer.id_to_token(number) for name, number in numbers.items() if number is not None}
        named = {name: token for name, token in found.items() if token is not None}
        inputs = ["input_ids", *(["token_type_ids"] if self.segments else []), "attention_mask"]
        return {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": inputs} | named

    def _batch(self, samples: Sequence[Pair]) -> list[Any]:
        inputs = [text if second is None else (text, second) for text, second in samples]
        return list(self.tokenizer.encode_batch(inputs))

    def _made(self, one: Any, whole: int) -> Encoded:
        return Encoded(one.ids, one.type_ids if self.segments else [], whole)


def _special(tokenizer: Tokenizer, folder: Folder, config: PreTrainedConfig) -> dict[str, int | None]:
    """pad, bos and eos: by the tokenizer's own configuration, else by the model's."""
    named = folder.json("special_tokens_map.json") | folder.json(SETTINGS)
    found: dict[str, int | None] = {}
    for name in ("pad", "bos", "eos"):
        token = named.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        number = tokenizer.token_to_id(token) if isinstance(token, str) else None
        given: Any = getattr(config, f"{name}_token_id", None)
        given = given[0] if isinstance(given, list) and given else given
        if number is None and isinstance(given, int) and 0 <= given < config.vocab_size:
            number = given
        found[name] = number
    return found
