"""What a run on texts needs: tokenised splits, the teacher's folder, a student of its family."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from distill import offload, own_vocabulary
from distill.answers.base import Guess
from distill.data.splits import stratified_sample
from distill.disagreement import Look
from distill.errors import InvalidConfig, InvalidDataset
from distill.layers import SequenceView
from distill.layers.sequence import Reads, sequences
from distill.modalities.text import (
    TextDataset,
    TextLoader,
    TextPreprocessing,
    TokenSamples,
    choose_length,
    open_text,
    recognised,
    tokenise,
)
from distill.modalities.text.loader import Taught
from distill.modalities.text.packing import TokenPacking
from distill.modalities.text.records import Kind
from distill.models.language import Tokens, load, make_student, open_folder
from distill.models.language.config import class_names, family_of, positions
from distill.models.language.student import student_config
from distill.models.language.vocabulary import Reduced, count_tokens, reduce
from distill.recipe_parts.features import DetachedHead
from distill.tasks._texts.delivery import TextContext
from distill.tasks._texts.student import load_text_student
from distill.tasks.base import Groups, Report, Split
from distill.tasks.classes import RowTask
from distill.tasks.network import Network
from distill.tasks.opening import (
    check_classes,
    check_optimisation,
    check_start,
    check_teachers,
    device_of,
    recipe_of,
    share_of,
    splits_of,
    told_classes,
)
from distill.teacher_classes import match_classes
from distill.training.data import Order, Source, TrainData
from distill.training.rng import seed_everything
from distill.types import Architecture, DistillConfig, Layer, RunSpec

FINE_TUNING, FROM_SCRATCH = 5e-5, 1e-3
LOGIT_BYTES = 2**28  # of one evaluation batch: a decoder gives a vocabulary's worth of logits for every token
TEXTS = 1000
BEGINNING = 80  # characters of a text that name it
MUCH_CUT = 0.05  # share of cut texts that is worth a warning (our choice)


class TextTask(RowTask):
    """Texts in; a subclass says what is answered. The student is of its teacher's family and has its tokenizer,
    or one of fewer tokens."""

    kind: ClassVar[Kind]
    dataset: TextDataset
    how: TextPreprocessing
    peak: tuple[float, str]  # the learning rate for `auto`, with its reason; known with the student

    def __init__(self, run: RunSpec, scratch: Path) -> None:
        run = _without_compiling(run)
        config = run.config
        check_start(self.spec, run)
        check_optimisation(self.spec, run.config)
        check_teachers(self.spec, run)
        self.recipe = recipe_of(run)
        self.device, why = device_of(config)
        self.dataset = self._opened(run)
        self.classes = self.dataset.classes
        given = next(iter(run.teachers), None)
        if given is None:
            raise InvalidConfig(
                "A language model is trained from a model folder: its tokenizer and its family are the student's.",
                "Name a teacher; with cross_entropy it may be a base model without a classification head.",
            )
        self.splits = splits_of(config, self.dataset.train.labels, self.dataset.test.labels)
        self.run, self.reasons = run, {}
        self.reasons |= self.weigh()
        seed_everything(config.seed)  # a base model's head is drawn at random
        folder = open_folder(given.weights, scratch)
        module, headed = load(folder, self.kind, self.classes)
        self.run = _in_its_precision(run, module)
        tokens = Tokens.load(folder, module.config)
        how, why_how = self._preprocessing(config, module, tokens)
        self.reasons |= why_how
        teacher = Network(module, _named(run, module), how, digest=given.digest, bytes=folder.bytes, tokens=tokens)
        self.teacher = self._checked(teacher, headed, class_names(folder) if self.kind == "classify" else ())
        self._source = teacher
        self.comparison = self._comparison(how, tokens, scratch)
        for network in (self.teacher, self.comparison):
            if network is not None:
                offload.put(network.module, self.device)
        self.how, self.reasons["device"] = how, why
        self._encoded: dict[tuple[str, int], TokenSamples] = {}
        self._own = self._own_vocabulary(scratch / "vocabulary")

    def _opened(self, run: RunSpec) -> TextDataset:
        dataset = open_text(recognised(run.dataset))
        if dataset.kind != self.kind:
            raise InvalidDataset(
                f"The dataset holds {dataset.kind} texts, the task {self.spec.name} wants others.",
                "Choose the task of this dataset, or another dataset.",
                {"task": self.spec.name, "kind": dataset.kind},
            )
        return dataset

    # -- what a subclass says -----------------------------------------------------------------------------------------

    @abstractmethod
    def default_reads(self, config: Any) -> tuple[Reads, str]:
        """What `text_features: auto` becomes for a model of this transformers configuration, with the reason."""

    def begins(self, samples: TokenSamples) -> Tensor | None:
        """Of each sample the first token that a target is needed for; None: the first of all."""
        return samples.begins

    def guess(self, samples: TokenSamples, indices: Tensor) -> Guess | None:
        """What guessing reaches on the samples at `indices`."""
        return Guess.of(samples.labels[indices].tolist())

    # -- views and layers ---------------------------------------------------------------------------------------------

    @property
    def view(self) -> SequenceView:
        return SequenceView(cast(Reads, self.how.reads))

    def layers(self, network: Network, named: list[str] | None = None) -> list[Layer]:
        """Embeddings and blocks; a pooled vector after them belongs to the head."""
        found = super().layers(network, named)
        kept = found if named else sequences(found)
        return [
            replace(layer, index=i, relative_depth=(i + 1) / len(kept), shape=self.view.shape(layer.shape))
            for i, layer in enumerate(kept)
        ]

    # -- data ---------------------------------------------------------------------------------------------------------

    def samples(self, split: Split, network: Network) -> TokenSamples:
        """A split as the network's tokenizer cuts it; encoded once for each tokenizer."""
        key = (split, id(network.tokens))
        if key not in self._encoded:
            texts, how = getattr(self.dataset, split), network.preprocessing
            generate = self.kind == "generate"
            self._encoded[key] = tokenise(texts.pairs, texts.labels, network.tokens, how.max_length, generate)
        return self._encoded[key]

    def train_data(self) -> TrainData:
        samples, train, validation = self.samples("train", self.student), self.splits.train, self.splits.validation
        self.reasons["truncated"] = self._truncation()
        return TrainData(
            open_train=lambda order: self._loader(train, order),
            open_validation=lambda order: self._loader(validation, order),
            indices=train.tolist(),
            guess=self.guess(samples, validation),
            packing=TokenPacking(samples.lengths, self.begins(samples)),
            peak=self.peak,
        )

    def _loader(self, indices: Tensor, order: Order) -> Source:
        return TextLoader(
            self.samples("train", self.student), indices, share_of(order), self.student.tokens.pad,
            self.how.max_length, seed=self.config.seed, shuffle=order.shuffle, drop_last=order.drop_last,
            device=order.device, teacher=order.teacher and self.teacher is not None, rank=order.rank, world=order.world,
            evenly=order.evenly, taught=self._taught(order),
        )  # fmt: skip

    def _taught(self, order: Order) -> Taught | None:
        """What the teacher reads, where its tokenizer is not the student's."""
        if self.teacher is None or not order.teacher or self.teacher.tokens is self.student.tokens:
            return None
        return Taught(self.samples("train", self.teacher), self.teacher.tokens.pad)

    def plain_loader(self, split: Split, indices: Tensor, network: Network) -> Source:
        return self.plain(self.samples(split, network), indices, network)

    def plain(self, samples: TokenSamples, indices: Tensor, network: Network) -> TextLoader:
        how: TextPreprocessing = network.preprocessing
        size = self.evaluation_batch
        if samples.prompts is not None:
            size = max(1, min(size, LOGIT_BYTES // (4 * how.max_length * how.vocabulary)))
        return TextLoader(
            samples, indices, size, network.tokens.pad, how.max_length, shuffle=False, drop_last=False,
            device=self.device,
        )  # fmt: skip

    def grouped(self, network: Network, samples: TokenSamples, view: SequenceView) -> Groups:
        """One row a text of `samples`, grouped by its class (docs/methods.md, section 1)."""
        labels, train = self.dataset.train.labels, self.splits.train
        sample = train[stratified_sample(labels[train], self.config.quality_samples, self.config.seed)]
        source = self.plain(samples, sample, network)
        return Groups(
            sample, labels[sample], len(self.classes), lambda: (batch.student for batch in source.epoch(0)), view
        )

    def called(self, position: int) -> str:
        """The beginning of its text."""
        text = " ".join(self.dataset.train.pairs[position][0].split())
        return text if len(text) <= BEGINNING else f"{text[:BEGINNING]}..."

    def context(self, network: Network, report: Report) -> TextContext:
        return super().context(network, report).widened(TextContext, texts=self.test_texts)

    def test_texts(self) -> Iterator[str]:
        """Texts of at most `TEXTS` test samples, in order."""
        pairs = (self.dataset.test.pairs[i] for i in self.splits.test[:TEXTS].tolist())
        return (text for pair in pairs for text in pair if text is not None)

    def sight(self, position: int) -> Look:
        """`text`, and of pairs and instructions `second`: the other text, or the answer."""
        text, second = self.dataset.test.pairs[position]
        return Look({"text": text} if second is None else {"text": text, "second": second})

    # -- what was cut -------------------------------------------------------------------------------------------------

    def _cut(self) -> dict[str, tuple[int, int]]:
        """Split -> how many of the texts that are used exceed max_length, and how many are used; training counts what
        it validates on."""
        used = {"train": torch.cat([self.splits.train, self.splits.validation]), "test": self.splits.test}
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
        lengths = self.samples("train", self.student).lengths[self.splits.train]
        return {
            "kind": self.kind,
            "max_length": self.how.max_length,
            "mean_tokens": round(float(lengths.double().mean()), 2),
            "truncated": {split: cut for split, (cut, _) in self._cut().items()},
            "duplicates_between_splits": self.dataset.duplicates,
        }

    def warnings(self) -> list[str]:
        found = []
        if any(cut > MUCH_CUT * used for cut, used in self._cut().values()):
            found.append(f"{self._truncation()}: a larger max_length would keep more of them.")
        if self.dataset.duplicates:
            found.append(
                f"{self.dataset.duplicates} of {len(self.dataset.test)} test texts are among the training texts: "
                "scores on them are too high."
            )
        return found

    # -- networks -----------------------------------------------------------------------------------------------------

    def _preprocessing(
        self, config: DistillConfig, module: Any, tokens: Tokens
    ) -> tuple[TextPreprocessing, dict[str, str]]:
        most, generate = positions(module.config), self.kind == "generate"
        if config.max_length == "auto":
            pairs = [self.dataset.train.pairs[i] for i in self.splits.train.tolist()]
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
        reads, why = cast(Reads, config.text_features), "given"
        if config.text_features == "auto":
            reads, why = self.default_reads(module.config)
        how = TextPreprocessing(length, module.config.vocab_size, tokens.segments, self.kind, reads, self.dataset.form)
        return how, {"max_length": reason, "text_features": why}

    def _checked(self, teacher: Network, headed: bool, names: Sequence[str]) -> Network | None:
        """The teacher, or None where it is only started from. `headed`: it came with a head for this dataset; `names`:
        what it calls its classes."""
        theirs = None if headed else 0
        match = match_classes(theirs, names, len(self.classes), self.classes, self.config.teacher_classes)
        self.teacher_classes = check_classes(self.spec, self.config, match)
        self.reasons |= told_classes(self.spec, match)
        return teacher if match.same or self.recipe.needs_teacher else None

    def make_student(self) -> tuple[Network, dict[str, str]]:
        run, teacher = self.run, self._source
        seed_everything(run.config.seed)
        untie = self.kind == "generate" and issubclass(self.recipe, DetachedHead)
        kept = None if self._own is None else self._own.kept
        made = make_student(run.student, teacher.module, self.kind, self.classes, untie, kept)
        own: Any = made.network.config
        tokens = teacher.tokens if self._own is None else self._own.tokens
        how = replace(teacher.preprocessing, vocabulary=own.vocab_size)
        network = Network(made.network, made.architecture, how, run.config.recipe, tokens=tokens)
        copied = made.architecture.options["initialise"] == "teacher"
        rate = FINE_TUNING if copied else FROM_SCRATCH
        why = "weights are the teacher's, to be fine-tuned" if copied else "a transformer from random weights"
        reason = made.reason
        if untie and made.architecture.options.get("untied"):
            reason += "; its output layer is its own, so that labels do not reach the embeddings"
        if kept is not None:
            reason += f"; its vocabulary has {len(kept):,} tokens of the teacher's"
        self.peak = (rate, f"{rate:g}: {why} (our choice)")
        return network, {"student": reason}

    def _own_vocabulary(self, folder: Path) -> Reduced | None:
        """The student's own tokenizer, by what the training texts use; None: it has its teacher's.

        Teacher and student cut a text into different tokens then. One row a text (`cls`, `mean`, `last`) means the same
        of both; rows of single tokens do not, and are refused.
        """
        size = self.run.student.options.get("vocab_size")
        if not isinstance(size, int):
            return None
        student_config(self.run.student, self._source.module.config, self.kind, self.classes)  # refuses what cannot be
        if self.view.per_token:
            raise own_vocabulary.tokens_apart()
        pairs = [self.dataset.train.pairs[i] for i in self.splits.train.tolist()]
        texts = [text for pair in pairs for text in pair if text is not None]
        return reduce(self._source.tokens, count_tokens(self._source.tokens, texts), size, folder)

    def _comparison(self, how: TextPreprocessing, teachers: Tokens, scratch: Path) -> Network | None:
        given = self.run.comparison
        if given is None:
            return None
        folder = open_folder(given.weights, scratch / "comparison")
        module, headed = load(folder, self.kind, self.classes)
        if not headed:
            raise InvalidConfig(
                "The comparison was trained on other classes.", "Compare with a job on the same dataset."
            )
        own: Any = module.config
        tokens = Tokens.load(folder, own)
        most = positions(own)
        if self.kind == "generate" and (most < how.max_length or not tokens.same(teachers)):
            raise InvalidConfig(
                "The comparison reads other tokens than the teacher, or fewer: no accuracies of the same answers.",
                "Compare with a job on the same dataset whose teacher has this teacher's tokenizer.",
            )
        how = replace(how, vocabulary=own.vocab_size, max_length=min(how.max_length, most))
        return Network(module, _named(self.run, module), how, given.recipe, bytes=folder.bytes, tokens=tokens)

    @staticmethod
    def load_student(path: Path) -> Any:
        return load_text_student(path)


def _without_compiling(spec: RunSpec) -> RunSpec:
    """Every batch has its own length: compiling for each would cost more than it gains."""
    if spec.config.compile != "auto":
        return spec
    return spec.model_copy(update={"config": spec.config.model_copy(update={"compile": False})})


def _in_its_precision(spec: RunSpec, module: Any) -> RunSpec:
    """fp32 for families that do not run under autocast. Raises `InvalidConfig` where bf16 or fp16 is asked for."""
    given, kind = spec.config.precision, family_of(module.config)
    if kind.autocast or given == "fp32":
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
