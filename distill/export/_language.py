"""A language model's student: its Hugging Face folder as one zip, and a README that loads it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distill.export._base import Artifact, Context, class_section, write_text
from distill.modalities.text.records import Form
from distill.models.language import open_folder, save_folder
from distill.models.language.folder import pack

ZIP = "student.zip"
_WHAT: dict[Form, str] = {
    "texts": "A text classifier for {} classes", "pairs": "A text classifier for pairs, {} classes",
    "instructions": "A decoder for instructions", "messages": "A decoder for conversations",
}  # fmt: skip

_CLASSIFIER = """from distill.student import load_student

student = load_student("student.zip")
for prediction in student.predict([{sample}]):
    print(prediction.label, prediction.probability)
```

or, unpacked to a folder `student`, with transformers alone:

```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("student")
model = AutoModelForSequenceClassification.from_pretrained("student").eval()
inputs = tokenizer({columns}, truncation=True, max_length={length}, return_tensors="pt")
with torch.inference_mode():
    print(model.config.id2label[model(**inputs).logits.argmax(1).item()])
"""

_DECODER = """from distill.student import load_student

student = load_student("student.zip")
print(student.answer(["Name three birds."])[0])
```

or, unpacked to a folder `student`, with transformers alone:

```python
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("student")
model = AutoModelForCausalLM.from_pretrained("student").eval()
prompt = {prompt}
ids = torch.tensor([{bos} + tokenizer(prompt, add_special_tokens=False)["input_ids"]])
with torch.inference_mode():
    found = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False,
        eos_token_id={eos}, pad_token_id={pad},
    )
print(tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True).strip())
"""


def student(context: Context, folder: Path, metadata: dict[str, str]) -> list[Artifact]:
    """`student.zip`: config.json, model.safetensors and the tokenizer's files; `student.json` describes it."""
    path, part = folder / ZIP, folder / f"{ZIP}.part"
    with TemporaryDirectory(dir=folder) as scratch:
        save_folder(context.student, context.tokens, Path(scratch), metadata)
        pack(open_folder(scratch, Path(scratch)), part)
    part.replace(path)
    described = json.dumps({key: json.loads(value) for key, value in metadata.items()}, indent=2)
    return [
        Artifact(ZIP, path, "application/zip"),
        write_text(folder, "student.json", described + "\n", "application/json"),
    ]


_SINGLE = {"sample": '"A text."', "columns": '["A text."]'}
_PAIR = {"sample": '("A text.", "Another text.")', "columns": '["A text."], ["Another text."]'}


def _classifier(how: dict[str, Any]) -> str:
    shown = _PAIR if how["form"] == "pairs" else _SINGLE
    return _CLASSIFIER.format(length=how["max_length"], **shown)


def _decoder(context: Context, form: Form) -> str:
    from distill.text_student import prompt

    tokens = context.tokens
    bos = [] if tokens.bos is None else [tokens.bos]
    asked = json.dumps(prompt("Name three birds.", form))
    return _DECODER.format(prompt=asked, bos=bos, eos=tokens.eos, pad=tokens.pad)


def card(context: Context, folder: Path) -> list[Artifact]:
    """README.md."""
    how, report = asdict(context.preprocessing), context.report
    found, share = report["student"], report["student"]["accuracy"]
    interval = f"95 % interval {100 * share['low']:.2f} to {100 * share['high']:.2f}, n = {share['n']}"
    generates = how["task"] == "generate"
    what = "next-token accuracy on the answers" if generates else "test accuracy"
    kind = _WHAT[how["form"]].format(len(context.classes))
    snippet = _decoder(context, how["form"]) if generates else _classifier(how)
    text = f"""# {context.architecture.name}, {report["recipe"]}

{kind}, of {found["parameters"]:,} parameters, trained by Retort with the recipe `{report["recipe"]}` on
{report["dataset"]["name"]}: {what} {100 * share["value"]:.2f} % ({interval}). {report["verdict"]["text"]}

## Use

```python
{snippet}```

Input: at most {how["max_length"]} tokens of the teacher's tokenizer. `report.md` compares the student with its teacher.
"""
    if not generates:
        text += f"\n{class_section(context)}"
    return [write_text(folder, "README.md", text, "text/markdown")]
