"""What a run on texts needs: tokenised splits, the teacher's folder, a student of its family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from distill.errors import InvalidConfig
from distill.evaluate import Predictions
from distill.layers import SequenceView, discover
from distill.modalities.text import (
    TextDataset,
    TextLoader,
    TextPreprocessing,
    TokenSamples,
    choose_length,
    open_text,
    tokenise,
)
from distill.models.language import Folder, Tokens, load, make_student, open_folder
from distill.models.language.config import class_names, family_of, head_reads, positions
from distill.recipes._base import Recipe
from distill.recipes._features import DetachedHead
from distill.running.answering import answering, perplexity
from distill.running.prepare import (
    EVALUATION_BATCH,
    Network,
    Prepared,
    Split,
    check_order,
    device_of,
    recipe_of,
    share_of,
    splits_of,
)
from distill.training.data import Order, Source, TrainData
from distill.training.rng import seed_everything
from distill.types import Architecture, DistillConfig, Layer, RunSpec

FINE_TUNING, FROM_SCRATCH = 5e-5, 1e-3
LOGIT_BYTES = 2**28  # of one evaluation batch: a decoder gives a vocabulary's worth of logits for every token
MUCH_CUT = 0.05  # share of cut texts that is worth a warning (our choice)
Reads = Literal["cls", "mean", "last", "tokens"]


@dataclass
class TextPrepared(Prepared):
    """`Prepared` for texts. `peak`: the learning rate for `auto`, with its reason."""

    peak: tuple[float, str] = (FROM_SCRATCH, "")
    encoded: dict[tuple[str, int], TokenSamples] = field(default_factory=dict)

    @property
    def texts(self) -> TextDataset:
        return cast(TextDataset, self.dataset)

    @property
    def how(self) -> TextPreprocessing:
        return cast(TextPreprocessing, self.student.preprocessing)

    @property
    def view(self) -> SequenceView:
        return SequenceView(cast(Reads, self.how.reads))

    @property
    def quality_view(self) -> SequenceView:
        """**Our choice** where single tokens are distilled: the last of an instruction's prompt, the mean of a text."""
        if not self.view.per_token:
            return self.view
        return SequenceView("last") if self.how.task == "generate" else SequenceView("mean")

    @property
    def unscored(self) -> str:
        if len(self.dataset.classes) >= 2:
            return ""
        return "Q compares classes, and these instructions have no column `label` with two or more"

    def layers(self, network: Network, named: list[str] | None = None) -> list[Layer]:
        """Embeddings and blocks; a pooled vector behind them belongs to the head."""
        found = discover(network.module, network.example(2, self.device), named)
        kept = found if named else [layer for layer in found if len(layer.shape) == 2]
        return [
            replace(layer, index=i, relative_depth=(i + 1) / len(kept), shape=self.view.shape(layer.shape))
            for i, layer in enumerate(kept)
        ]

    def samples(self, split: Split, network: Network) -> TokenSamples:
        """A split as the network's tokenizer cuts it; encoded once for each tokenizer."""
        key = (split, id(network.tokens))
        if key not in self.encoded:
            texts, how = getattr(self.texts, split), cast(TextPreprocessing, network.preprocessing)
            generate = how.task == "generate"
            self.encoded[key] = tokenise(texts.pairs, texts.labels, network.tokens, how.max_length, generate)
        return self.encoded[key]

    def train_data(self) -> TrainData:
        samples = self.samples("train", self.student)
        self.reasons["truncated"] = self._truncation()
        return TrainData(
            open_train=lambda order: self._loader(self.train, order),
            open_validation=lambda order: self._loader(self.validation, order),
            indices=self.train.tolist(),
            validation_labels=_predicted(samples, self.validation),
            num_classes=len(self.dataset.classes),
            lengths=samples.lengths,
            begins=samples.begins,
            peak=self.peak,
        )

    def _cut(self) -> dict[str, tuple[int, int]]:
        """Split -> how many of the texts that are used exceed max_length, and how many are used; training counts what
        it validates on."""
        used = {"train": torch.cat([self.train, self.validation]), "test": self.test}
        return {
            split: (int(self.samples(cast(Split, split), self.student).cut[at].sum()), len(at))
            for split, at in used.items()
        }

    def _truncation(self) -> str:
        (cut, train), (cut_test, test) = self._cut().values()
        return (
            f"{cut} of {train} training texts ({cut / train:.1%}) and {cut_test} of {test} test texts "
            f"({cut_test / test:.1%}) are longer than max_length ({self.how.max_length}) and are cut"
        )

    def about_data(self) -> dict[str, Any]:
        lengths = self.samples("train", self.student).lengths[self.train]
        return {
            "kind": self.texts.kind,
            "max_length": self.how.max_length,
            "mean_tokens": round(float(lengths.double().mean()), 2),
            "truncated": {split: cut for split, (cut, _) in self._cut().items()},
            "duplicates_between_splits": self.texts.duplicates,
        }

    def warnings(self) -> list[str]:
        found = []
        if any(cut > MUCH_CUT * used for cut, used in self._cut().values()):
            found.append(f"{self._truncation()}: a larger max_length would keep more of them.")
        if self.texts.duplicates:
            found.append(
                f"{self.texts.duplicates} of {len(self.texts.test)} test texts are among the training texts: scores on "
                "them are too high."
            )
        return found

    def _loader(self, indices: Tensor, order: Order) -> Source:
        return TextLoader(
            self.samples("train", self.student), indices, share_of(order), self.student.tokens.pad,
            self.how.max_length, seed=self.config.seed, shuffle=order.shuffle, drop_last=order.drop_last,
            device=order.device, teacher=order.teacher and self.teacher is not None, rank=order.rank, world=order.world,
        )  # fmt: skip

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        return self._plain(self.samples(split, network), indices, network)

    def scoring_loader(self, indices: Tensor, network: Network) -> Source:
        """Texts as they are; of instructions the prompts alone, which the labels describe."""
        samples = self.samples("train", network)
        if samples.prompts is not None:
            samples = replace(samples, lengths=samples.prompts, prompts=None)
        return self._plain(samples, indices, network)

    def _plain(self, samples: TokenSamples, indices: Tensor, network: Network) -> TextLoader:
        how = cast(TextPreprocessing, network.preprocessing)
        size = EVALUATION_BATCH
        if samples.prompts is not None:
            size = max(1, min(size, LOGIT_BYTES // (4 * how.max_length * how.vocabulary)))
        return TextLoader(
            samples, indices, size, network.tokens.pad, how.max_length, shuffle=False, drop_last=False,
            device=self.device,
        )  # fmt: skip

    def further_metrics(self, loss: float) -> dict[str, float]:
        return {"perplexity": perplexity(loss)} if self.how.task == "generate" else {}

    def assess_further(self, network: Network, found: Predictions) -> dict[str, Any]:
        if self.how.task != "generate":
            return {}
        pairs = [self.texts.test.pairs[i] for i in self.test.tolist()]
        return answering(network, found.loss, pairs, self.device)


def _predicted(samples: TokenSamples, indices: Tensor) -> list[int]:
    """Classes, or of instructions every token of the answers."""
    if samples.prompts is None:
        return samples.labels[indices].tolist()
    found: list[int] = []
    for i in indices.tolist():
        start, length, prompt = (int(values[i]) for values in (samples.starts, samples.lengths, samples.prompts))
        found += samples.ids[start + max(prompt, 1) : start + length].tolist()
    return found


def prepare_text(spec: RunSpec, scratch: Path) -> TextPrepared:
    """As `prepare`, for a dataset of kind `text`. Raises UnknownName, InvalidConfig, InvalidDataset, InvalidTeacher."""
    spec = _without_compiling(spec)
    config, recipe = spec.config, recipe_of(spec)
    device, why = device_of(config)
    dataset = open_text(spec.dataset)
    if spec.teacher is None:
        raise InvalidConfig(
            "A language model is trained from a model folder: its tokenizer and its family are the student's.",
            "Name a teacher; with cross_entropy it may be a base model without a classification head.",
        )
    train, validation, test = splits_of(config, cast(Any, dataset))
    seed_everything(config.seed)  # a base model's head is drawn at random
    folder = open_folder(spec.teacher.weights, scratch)
    module, headed = load(folder, dataset.kind, dataset.classes)
    precise = _in_its_precision(spec, module)
    tokens = Tokens.load(folder, module.config)
    how, reasons = _preprocessing(config, dataset, module, tokens, train)
    teacher = Network(module, _named(spec, module), how, digest=spec.teacher.digest, bytes=folder.bytes, tokens=tokens)
    kept = _checked(recipe, teacher, headed, dataset, class_names(folder))
    student, reason, peak = _student(spec, recipe, teacher, dataset)
    comparison = _comparison(spec, dataset, how, tokens, scratch)
    for network in (student, kept, comparison):
        if network is not None:
            network.module.to(device)
    reasons |= {"device": why, "student": reason}
    return TextPrepared(
        precise,
        device,
        cast(Any, dataset),
        recipe,
        student,
        kept,
        comparison,
        train,
        validation,
        test,
        reasons,
        peak=peak,
    )


def _without_compiling(spec: RunSpec) -> RunSpec:
    """Every batch has its own length: compiling for each would cost more than it gains."""
    if spec.config.compile != "auto":
        return spec
    return spec.model_copy(update={"config": spec.config.model_copy(update={"compile": False})})


def _in_its_precision(spec: RunSpec, module: Any) -> RunSpec:
    """fp32 for families that do not run under bf16 autocast. Raises `InvalidConfig` where bf16 is asked for."""
    given, kind = spec.config.precision, family_of(module.config)
    if kind.bf16 or given == "fp32":
        return spec
    if given != "auto":
        raise InvalidConfig(
            f"A model of the family {kind.model_type} does not run in {given}.",
            "Set precision to auto or fp32.",
            {"field": "precision", "value": given},
        )
    return spec.model_copy(update={"config": spec.config.model_copy(update={"precision": "fp32"})})


def _named(spec: RunSpec, module: Any) -> Architecture:
    config = module.config
    sizes = {"layers": config.num_hidden_layers, "width": config.hidden_size, "heads": config.num_attention_heads}
    return Architecture(name=f"transformers:{config.model_type}", options=sizes)


def _preprocessing(
    config: DistillConfig, dataset: TextDataset, module: Any, tokens: Tokens, train: Tensor
) -> tuple[TextPreprocessing, dict[str, str]]:
    most, generate = positions(module.config), dataset.kind == "generate"
    if config.max_length == "auto":
        pairs = [dataset.train.pairs[i] for i in train.tolist()]
        length = choose_length(pairs, tokens, most, generate)
        reason = f"{length}: 99 % of the training texts, at most 512 and what the model takes ({most})"
    else:
        length, reason = config.max_length, "given"
    if length > most:
        raise InvalidConfig(
            f"max_length is {length}, but the model takes {most} tokens.",
            f"Set max_length to {most} or less, or to auto.",
            {"field": "max_length", "value": length, "most": most},
        )
    reads, why = config.text_features, "given"
    if reads == "auto":
        reads = "tokens" if generate else cast(Any, head_reads(module.config))
        why = "every token of the answers" if generate else f"what the classification head reads: {reads}"
    vocabulary = module.config.vocab_size
    how = TextPreprocessing(length, vocabulary, tokens.segments, dataset.kind, reads, dataset.form)
    return how, {"max_length": reason, "text_features": why}


def _checked(
    recipe: type[Recipe], teacher: Network, headed: bool, dataset: TextDataset, names: Sequence[str]
) -> Network | None:
    """The teacher, or None where it is a base model to start from. `names`: its own classes."""
    if headed:
        check_order("Teacher", names, dataset.classes)
        return teacher
    if not recipe.needs_teacher:
        return None
    raise InvalidConfig(
        f"The teacher has no head for the dataset's {len(dataset.classes)} classes.",
        "Fine-tune it first: a job with recipe cross_entropy and this teacher; its student is the teacher to use.",
        {"teacher_classes": list(names)[:20], "dataset_classes": len(dataset.classes)},
    )


def _student(
    spec: RunSpec, recipe: type[Recipe], teacher: Network, dataset: TextDataset
) -> tuple[Network, str, tuple[float, str]]:
    """The student with fresh weights from the seed, whatever was drawn before, and its learning rate for `auto`."""
    seed_everything(spec.config.seed)
    untie = dataset.kind == "generate" and issubclass(recipe, DetachedHead)
    made = make_student(spec.student, teacher.module, dataset.kind, dataset.classes, untie)
    network = Network(made.network, made.architecture, teacher.preprocessing, spec.config.recipe, tokens=teacher.tokens)
    copied = made.architecture.options["initialise"] == "teacher"
    rate = FINE_TUNING if copied else FROM_SCRATCH
    why = "weights are the teacher's, to be fine-tuned" if copied else "a transformer from random weights"
    reason = made.reason
    if untie and made.architecture.options.get("untied"):
        reason += "; its output layer is its own, so that labels do not reach the embeddings"
    return network, reason, (rate, f"{rate:g}: {why} (our choice)")


def _comparison(
    spec: RunSpec, dataset: TextDataset, how: TextPreprocessing, teachers: Tokens, scratch: Path
) -> Network | None:
    given = spec.comparison
    if given is None:
        return None
    folder: Folder = open_folder(given.weights, scratch / "comparison")
    module, headed = load(folder, dataset.kind, dataset.classes)
    if not headed:
        raise InvalidConfig("The comparison was trained on other classes.", "Compare with a job on the same dataset.")
    own: Any = module.config
    tokens = Tokens.load(folder, own)
    most = positions(own)
    if dataset.kind == "generate" and (most < how.max_length or not tokens.same(teachers)):
        raise InvalidConfig(
            "The comparison reads other tokens than the teacher, or fewer: no accuracies of the same answers.",
            "Compare with a job on the same dataset whose teacher has this teacher's tokenizer.",
        )
    how = replace(how, vocabulary=own.vocab_size, max_length=min(how.max_length, most))
    return Network(module, _named(spec, module), how, given.recipe, bytes=folder.bytes, tokens=tokens)
