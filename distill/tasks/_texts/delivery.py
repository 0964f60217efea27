"""A language model's student: its Hugging Face folder as one zip, and a README that loads it."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from distill.export import (
    Around,
    Artifact,
    Context,
    DecoderGraph,
    Delivery,
    EveryToken,
    Graph,
    class_section,
    described,
    probed,
    share_in_words,
)
from distill.modalities.text.prompts import prompt, template
from distill.modalities.text.records import Form
from distill.models.language import open_folder, save_folder
from distill.models.language.config import positions
from distill.models.language.folder import pack
from distill.tasks._texts import labelled
from distill.tasks._texts.generation import NEW_TOKENS

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


_SINGLE = {"sample": '"A text."', "columns": '["A text."]'}
_PAIR = {"sample": '("A text.", "Another text.")', "columns": '["A text."], ["Another text."]'}


@dataclass(frozen=True)
class TextContext(Context):
    """`texts`: gives texts of the test set."""

    texts: Callable[[], Iterable[str]] = tuple


class TextDelivery(Delivery):
    """`student.zip`: config.json, model.safetensors and the tokenizer's files. `task`: the name for the header."""

    def __init__(self, task: str) -> None:
        self.task = task

    def header(self, context: Context) -> dict[str, str]:
        told = {
            "classes": list(context.classes), "preprocessing": asdict(context.preprocessing),
            "recipe": context.report["recipe"], "accuracy": context.report["student"]["accuracy"], "task": self.task,
        }  # fmt: skip
        architecture = {"architecture": context.architecture.model_dump_json()}
        return architecture | {name: json.dumps(value) for name, value in told.items()}

    def weights(self, context: Context, folder: Path) -> list[Artifact]:
        told = self.header(context)
        path, part = folder / ZIP, folder / f"{ZIP}.part"
        with TemporaryDirectory(dir=folder) as scratch:
            save_folder(context.student, context.tokens, Path(scratch), told)
            pack(open_folder(scratch, Path(scratch)), part)
        part.replace(path)
        return [Artifact(ZIP, path, "application/zip"), described(told, folder)]

    def bytes(self, context: Context) -> int:
        with TemporaryDirectory() as folder:
            save_folder(context.student, context.tokens, Path(folder), self.header(context))
            return (Path(folder) / "model.safetensors").stat().st_size

    def sections(self, report: dict[str, Any]) -> list[str]:
        """What was cut, and whether scores flatter."""
        data = report["dataset"]
        count = data["duplicates_between_splits"]
        twins = "No test text is" if not count else "1 test text is" if count == 1 else f"{count:,} test texts are"
        return [
            f"## Texts\n\n{report['reasons']['truncated']}. Training texts have {data['mean_tokens']:.1f} tokens on "
            f"average. {twins} among the training texts."
        ]

    def card(self, context: Context) -> str:
        """README.md."""
        how, report = context.preprocessing, context.report
        found = report["student"]
        kind = _WHAT[how.form].format(len(context.classes))
        text = f"""# {context.architecture.name}, {report["recipe"]}

{kind}, of {found["parameters"]:,} parameters, trained by Retort with the recipe `{report["recipe"]}` on
{report["dataset"]["name"]}: {self.measured} {share_in_words(found["accuracy"])}.
{report["verdict"]["text"]}{probed(report)}

## Use

```python
{self.snippet(context)}```

Input: at most {how.max_length} tokens of its tokenizer. `report.md` compares the student with its teacher.
"""
        return text + self.end(context)

    measured: ClassVar[str]

    @abstractmethod
    def snippet(self, context: Context) -> str:
        """Python that loads `student.zip` and asks it."""

    def end(self, context: Context) -> str:
        """What the card closes with."""
        return ""


class ClassifierDelivery(TextDelivery):
    measured = "test accuracy"

    def graph(self, context: Context) -> Graph:
        return labelled.graph(context)

    def around(self, context: Context, graph: Graph) -> Around | None:
        return labelled.around(context, graph)

    def snippet(self, context: Context) -> str:
        how = context.preprocessing
        return _CLASSIFIER.format(length=how.max_length, **(_PAIR if how.form == "pairs" else _SINGLE))

    def end(self, context: Context) -> str:
        return f"\n{class_section(context)}"


class DecoderDelivery(TextDelivery):
    measured = "next-token accuracy on the answers"

    def graph(self, context: Context) -> Graph:
        assert isinstance(context, TextContext)
        how = context.preprocessing
        example = {name: how.example(2)[name] for name in ("input_ids", "attention_mask")}
        return DecoderGraph(
            EveryToken(context.student), example, "tokens", "logits", tokens=context.tokens, texts=context.texts,
            template=template(how.form), title=f"{context.architecture.name}, {context.report['recipe']}",
        )  # fmt: skip

    def around(self, context: Context, graph: Graph) -> Around | None:
        how, most = context.preprocessing, positions(context.student.config)
        asked = json.dumps(prompt("Name three birds.", how.form))
        told = f"prompt = {asked}\ncontext = {min(how.max_length + NEW_TOKENS, most)}"
        return Around((), told, "print(output.strip())")

    def snippet(self, context: Context) -> str:
        tokens = context.tokens
        bos = [] if tokens.bos is None else [tokens.bos]
        asked = json.dumps(prompt("Name three birds.", context.preprocessing.form))
        return _DECODER.format(prompt=asked, bos=bos, eos=tokens.eos, pad=tokens.pad)
