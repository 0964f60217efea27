"""A network's tokenizer: tokenizer.json read by the `tokenizers` library, no code run. A student's is its teacher's, or
has fewer tokens (`distill.models.language.vocabulary`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tokenizers import Tokenizer
from transformers import PreTrainedConfig

from distill.errors import InvalidTeacher
from distill.models.language.folder import SMALL_BYTES, TOKENIZER, Folder

FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
REMEDY = "Write one with `AutoTokenizer.from_pretrained(...).save_pretrained(folder)` and add the folder's files."
_FAILED = "The tokenizer failed on a text"
_FITTING = "Send the tokenizer that the model was trained with."
Pair = tuple[str, str | None]
Result = TypeVar("Result")
_SAMPLE = "The cat sat on 12 mats, \u00e9\u4f60."
"""What every tokenizer is tried on before a job does: letters, digits, signs, an accent and another script."""


@dataclass(frozen=True)
class Encoded:
    """One sample's tokens. `segments` (0 first text, 1 second) is empty where the model has no segments; `whole` is
    its length before truncation."""

    ids: list[int]
    segments: list[int]
    whole: int


class Tokens:
    """Text to token ids. `pad`, `bos`, `eos` are ids (`bos`, `eos` may be None)."""

    def __init__(
        self, tokenizer: Tokenizer, files: dict[str, Path], special: dict[str, int | None], tokens: int, segments: int
    ):
        self.tokenizer, self.files, self.segments = tokenizer, files, segments > 1
        self._most = tokens, segments  # what the model embeds
        self.pad = special["pad"] if special["pad"] is not None else special["eos"] or 0
        self.bos, self.eos = special["bos"], special["eos"]

    @classmethod
    def load(cls, folder: Folder, config: PreTrainedConfig) -> Tokens:
        """Raises `InvalidTeacher` where there is none, where it knows more tokens or segments than the model, or where
        it crashes on a text."""
        path = folder.path / FILE
        if not path.is_file():
            raise InvalidTeacher("The model folder has no tokenizer.json.", REMEDY)
        if path.stat().st_size > SMALL_BYTES:
            raise InvalidTeacher(f"tokenizer.json has more than {SMALL_BYTES:,} bytes.", REMEDY)
        tokenizer = _guarded(lambda: Tokenizer.from_file(str(path)), "tokenizer.json cannot be read")
        highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if highest >= config.vocab_size:
            raise InvalidTeacher(f"The tokenizer has token {highest}, the model embeds {config.vocab_size}.", _FITTING)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        files = {name: folder.path / name for name in sorted(TOKENIZER) if (folder.path / name).is_file()}
        segments = int(getattr(config, "type_vocab_size", 0) or 0)
        tokens = cls(tokenizer, files, _special(tokenizer, folder, config), config.vocab_size, segments)
        tokens._try()
        return tokens

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
        found = _guarded(lambda: self.tokenizer.encode_batch(list(texts), add_special_tokens=False), _FAILED)
        return [self._known(one.ids) for one in found]

    def decode(self, ids: Sequence[int]) -> str:
        """Text without special tokens."""
        return str(_guarded(lambda: self.tokenizer.decode(list(ids), skip_special_tokens=True), _FAILED))

    def renumbered(self, folder: Path, new: Mapping[int, int], size: int) -> Tokens:
        """The tokenizer whose files are in `folder`, of which `new` tells the number of each of these tokens; for a
        model that embeds `size` tokens."""
        tokenizer = Tokenizer.from_file(str(folder / FILE))
        files = {path.name: path for path in sorted(folder.iterdir()) if path.name in TOKENIZER}
        ends = {"pad": self.pad, "bos": self.bos, "eos": self.eos}
        special = {name: None if number is None else new[number] for name, number in ends.items()}
        tokens = Tokens(tokenizer, files, special, size, self._most[1])
        tokens._try()
        return tokens

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
        return list(_guarded(lambda: self.tokenizer.encode_batch(inputs), _FAILED))

    def _made(self, one: Any, whole: int) -> Encoded:
        segments = one.type_ids if self.segments else []
        if self.segments and max(segments, default=0) >= self._most[1]:
            raise InvalidTeacher(f"The tokenizer has segment {max(segments)}, the model {self._most[1]}.", _FITTING)
        return Encoded(self._known(one.ids), segments, whole)

    def _known(self, ids: list[int]) -> list[int]:
        """A template may add tokens that no vocabulary has; on a GPU such an index would end the whole process."""
        if max(ids, default=0) >= self._most[0]:
            raise InvalidTeacher(f"The tokenizer has token {max(ids)}, the model embeds {self._most[0]}.", _FITTING)
        return ids

    def _try(self) -> None:
        """A text that it has no tokens for is its right; a crash is not."""
        try:
            self.encode([(_SAMPLE, None), (_SAMPLE, _SAMPLE)], 10**9)
            self.plain([_SAMPLE])
        except InvalidTeacher as error:
            if not isinstance(error.__cause__, Exception):
                raise


def _guarded(call: Callable[[], Result], failed: str) -> Result:
    """What `call` gives. The Rust library raises plain Exception; its panics (an index out of range, a regular
    expression that backtracks too long) are no Exception at all. Both are the file's fault: `InvalidTeacher`."""
    try:
        return call()
    except MemoryError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InvalidTeacher(f"{failed}: {str(error)[:200]}", REMEDY) from error


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
