"""A classifier of texts as a graph of token ids, and a program for its files: `tokenizers` and numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tokenizers import Tokenizer
from torch import Tensor, nn

from distill.export import Around, Context, Graph
from distill.models.language import Tokens

TOKENIZER = ".tokenizer.json"
_COLUMNS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
"""What the library `tokenizers` calls each input."""
_PREPARE = """classes = {classes}
tokenizer = Tokenizer.from_file("{file}")


def prepare(*texts):
    found = tokenizer.encode_batch(list(texts))
    return {{
{rows}
    }}
"""
_ROW = '        "{name}": np.array([each.{column} for each in found], np.int64),'


class Logits(nn.Module):
    """Token ids, mask and maybe segments (n, t) -> the network's logits (n, classes)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        found: Tensor = self.network(input_ids=input_ids, attention_mask=attention_mask, **segments).logits
        return found


def graph(context: Context) -> Graph:
    """Both axes, texts and tokens, are free. The tokenizer goes beside its files."""
    example: Mapping[str, Tensor] = context.preprocessing.example(2)
    names = [name for name in _COLUMNS if name in example]

    def encode(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: batch[name] for name in names}

    return Graph(
        Logits(context.student), encode(example), "tokens", "logits", encode=encode, free=("n", "t"),
        beside={TOKENIZER: tokenizer(context.tokens, context.preprocessing.max_length)},
    )  # fmt: skip


def tokenizer(tokens: Tokens, longest: int) -> str:
    """tokenizer.json that itself cuts texts as training did, and fills those of a batch to one length."""
    own = Tokenizer.from_str(tokens.tokenizer.to_str())
    own.enable_truncation(longest, strategy="longest_first")
    own.enable_padding(pad_id=tokens.pad, pad_token=own.id_to_token(tokens.pad) or "")
    return str(own.to_str())


def around(context: Context, graph: Graph) -> Around:
    rows = "\n".join(_ROW.format(name=name, column=_COLUMNS[name]) for name in graph.tensors)
    classes = json.dumps(list(context.classes), ensure_ascii=False)
    prepare = _PREPARE.format(classes=classes, file=context.name + TOKENIZER, rows=rows)
    sample = '("A text.", "Another text.")' if context.preprocessing.form == "pairs" else '"A text."'
    return Around(
        ("import numpy as np", "from tokenizers import Tokenizer"), prepare, "print(classes[output[0].argmax()])",
        given=f"prepare({sample})",
    )  # fmt: skip
