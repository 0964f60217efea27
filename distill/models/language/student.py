"""A student: a smaller configuration of the teacher's family, with its tokenizer or the most used of its tokens."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from distill import own_vocabulary
from distill.errors import InvalidConfig
from distill.language_families import FAMILIES, OPTIONS, PREFIX, SAME
from distill.models.blocks import blocks_for
from distill.models.language import cutting
from distill.models.language.config import family_of
from distill.models.language.network import Task, build, for_task, layers_path, parameters, skeleton
from distill.parameters import check as check_parameters
from distill.types import Architecture

SHRINKS = 64


@dataclass(frozen=True)
class Made:
    """`architecture` has every option resolved; `reason` says how."""

    network: nn.Module
    architecture: Architecture
    reason: str


def make_student(
    wanted: Architecture, teacher: nn.Module, task: Task, classes: Sequence[str] = (), untie: bool = False,
    kept: Sequence[int] | None = None,
) -> Made:  # fmt: skip
    """The student that `wanted` describes, of the teacher's family, random weights from torch's global generator.

    Options: `layers`, `width`, `heads` (`auto`: heads as wide as the teacher's), `inner` (feed-forward width, default
    the teacher's ratio), or `parameters`, a budget: the largest student of the teacher's proportions that has at most
    so many (**our choice**: layers and width shrink by one factor, in 64 steps). `initialise`: `teacher` copies the
    embeddings, every n-th block and what else fits, where widths agree, of a block with a smaller `inner`, or with
    fewer `heads` of the teacher's `head_width`, the most important ones (`distill.models.language.cutting`); `auto`
    does so where they agree; `random`.
    `untie`: separate output weights although the teacher's are tied (recipes that must keep labels out of the
    embeddings). `kept`: of a student with a `vocab_size` the teacher's number of each of its tokens; rows of the
    embeddings are copied by it. Raises `InvalidConfig`.
    """
    config: Any = copy.deepcopy(teacher.config)
    shape = student_config(wanted, config, task, classes, untie, kept)
    smaller = shape.config
    network = build(smaller, task)
    layers, width, heads, inner = shape.sizes
    how = "teacher" if shape.copied else "random"
    if shape.copied:
        copy_blocks(network, teacher)
        if kept is not None:
            copy_rows(network, teacher, kept)
    resolved: dict[str, bool | int | float | str | list[int]] = {
        "layers": layers, "width": width, "heads": heads, "inner": inner, "initialise": how,
    }  # fmt: skip
    if "vocab_size" in wanted.options:
        resolved["vocab_size"] = int(smaller.vocab_size)
    if _head_width(wanted.options):
        resolved["head_width"] = int(smaller.head_dim)
    if getattr(config, "tie_word_embeddings", False) and not smaller.tie_word_embeddings:
        resolved["untied"] = True
    return Made(network, Architecture(name=PREFIX + config.model_type, options=resolved), shape.reason)


Sizes = tuple[int, int, int, int]  # layers, width, heads, feed-forward width


@dataclass(frozen=True)
class Shape:
    """A student before it is built. `copied`: its first weights are the teacher's; `reason` says how it was sized."""

    config: Any
    sizes: Sizes
    copied: bool
    reason: str


def student_config(
    wanted: Architecture, config: Any, task: Task, classes: Sequence[str] = (), untie: bool = False,
    kept: Sequence[int] | None = None,
) -> Shape:  # fmt: skip
    """What `wanted` makes of the teacher's configuration; see `make_student`. Raises `InvalidConfig`."""
    options = dict(wanted.options)
    check_parameters(OPTIONS, options)
    _check_family(wanted.name, config)
    if isinstance(size := options.get("vocab_size"), int):
        config = _with_vocabulary(config, size, task, kept)
    sizes, reason = _sizes(config, options, task, classes)
    wide = _head_width(options, config)
    smaller = for_task(_resized(config, *sizes, untie or bool(options.get("untied")), wide), task, classes)
    copied = _copied(smaller, config, str(options.get("initialise", "auto")))
    return Shape(smaller, sizes, copied, reason)


def _check_family(name: str, config: PreTrainedConfig) -> None:
    if name not in (PREFIX + SAME, PREFIX + config.model_type):
        raise InvalidConfig(
            f"The student {name} is not of the teacher's family, {config.model_type}.",
            f"Ask for {PREFIX}{SAME}: a student shares its teacher's tokenizer and family.",
            {"student": name, "teacher_family": config.model_type},
        )


def _with_vocabulary(config: Any, size: int, task: Task, kept: Sequence[int] | None) -> Any:
    """The configuration for `size` tokens. Its special tokens have the numbers that `kept` gives them; where the tokens
    are not known yet and only sizes are asked for, a number out of range is 0."""
    if task != "classify":
        raise own_vocabulary.of_a_decoder()
    if size > config.vocab_size:
        raise own_vocabulary.too_many(size, config.vocab_size)
    config = copy.deepcopy(config)
    new = None if kept is None else {old: number for number, old in enumerate(kept)}
    for name in ("pad", "bos", "eos", "cls", "sep", "mask", "unk", "decoder_start"):
        number = getattr(config, f"{name}_token_id", None)
        if isinstance(number, int):
            known = new.get(number) if new is not None else number if number < size else 0
            setattr(config, f"{name}_token_id", known)
    config.vocab_size = size
    return config


def _sizes(
    config: PreTrainedConfig, options: Mapping[str, Any], task: Task, classes: Sequence[str]
) -> tuple[Sizes, str]:
    budget = options.get("parameters")
    if budget is None:
        return _given(config, options), "layers and widths as given, the teacher's where not"
    if "layers" in options or "width" in options:
        raise InvalidConfig("A budget of parameters and layers or width contradict each other.", "Give one of them.")
    tried = None
    for step in range(SHRINKS, 0, -1):
        sizes = _shrunk(config, step / SHRINKS, options)
        if sizes == tried:
            continue
        tried = sizes
        smaller = _resized(config, *sizes, wide=_head_width(options, config))
        count = parameters(skeleton(for_task(smaller, task, classes), task))
        if count <= budget:
            return sizes, f"the largest of the teacher's proportions within {budget:,} parameters: {count:,}"
    raise InvalidConfig(
        f"No student of this family has at most {budget:,} parameters: its embeddings alone are larger.",
        "Raise the budget.",
        {"parameters": budget},
    )


def _given(config: PreTrainedConfig, options: Mapping[str, Any]) -> Sizes:
    layers = int(options.get("layers", config.num_hidden_layers))
    width = int(options.get("width", config.hidden_size))
    heads = options.get("heads", "auto")
    if isinstance(heads, str):
        if heads != "auto":
            raise InvalidConfig(f"heads = {heads!r} is no number.", "Give a number, or auto.")
        heads = _heads(config, width)
    if width % int(heads) and _head_width(options) is None:
        raise InvalidConfig(f"{heads} heads do not divide a width of {width}.", "Choose heads that do, or auto.")
    return layers, width, int(heads), int(options.get("inner", _inner(config, width)))


def _shrunk(config: PreTrainedConfig, factor: float, options: Mapping[str, Any]) -> Sizes:
    head = config.hidden_size // config.num_attention_heads
    width = max(head, round(config.hidden_size * factor / head) * head)
    layers = max(1, round(config.num_hidden_layers * factor))
    return _given(config, {**options, "layers": layers, "width": width})


def _heads(config: PreTrainedConfig, width: int) -> int:
    """As wide as the teacher's heads where that divides, else the most heads up to that number which divide."""
    most = max(1, width // (config.hidden_size // config.num_attention_heads))
    even = [heads for heads in range(most, 0, -1) if width % heads == 0 and (width // heads) % 2 == 0]
    return even[0] if even else 1


def _inner(config: PreTrainedConfig, width: int) -> int:
    return max(1, round(cutting.Sizes.of(config).inner * width / int(config.hidden_size)))


def _head_width(options: Mapping[str, Any], config: PreTrainedConfig | None = None) -> int | None:
    """That of `options`; None: as wide as the width and their number say. Raises `InvalidConfig` where the family of
    `config` has no width of heads of its own."""
    found = options.get("head_width", "auto")
    if found == "auto":
        return None
    if isinstance(found, str):
        raise InvalidConfig(f"head_width = {found!r} is no number.", "Give a number, or auto.")
    if config is not None and not family_of(config).own_head_width:
        able = ", ".join(family.model_type for family in FAMILIES.values() if family.own_head_width)
        raise InvalidConfig(
            f"Heads of the family {config.model_type} are as wide as its width divided by their number.",
            f"Leave head_width out: fewer layers and a smaller inner are cut out of any teacher, heads of {able}.",
            {"head_width": found},
        )
    if found % 2:
        raise InvalidConfig(
            f"head_width = {found} is odd, and rotary positions turn pairs.",
            "Give an even number.",
            {"head_width": found},
        )
    return int(found)


def _resized(
    config: PreTrainedConfig, layers: int, width: int, heads: int, inner: int, untie: bool = False,
    wide: int | None = None,
) -> PreTrainedConfig:  # fmt: skip
    """A new configuration: built from its values, so that what follows from the sizes is worked out again. `wide`: of
    a head, where that does not follow from them."""
    family = family_of(config)
    values = config.to_dict()
    # Per-layer lists follow from the sizes.
    for derived in ("layer_types", "head_dim", "dtype", "transformers_version", "model_type", "max_window_layers"):
        values.pop(derived, None)
    names = {"num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads}
    attributes = getattr(config, "attribute_map", {})
    values |= {attributes.get(name, name): value for name, value in names.items()}
    values |= {family.inner: inner} | dict.fromkeys(family.follows, width)
    if wide or getattr(config, "head_dim", None):
        values["head_dim"] = wide or _proportioned_head(config, width, heads)
    if "num_key_value_heads" in values:
        values["num_key_value_heads"] = _key_value_heads(config, heads, wide)
    if untie:
        values["tie_word_embeddings"] = False
    made = type(config)(**{key: value for key, value in values.items() if not key.startswith("_")})
    made.use_cache = False
    return made


def _proportioned_head(config: Any, width: int, heads: int) -> int:
    """The teacher's ratio of all heads' width to the width (1 for most, 2 for a small Qwen3); even, since rotary
    positions turn pairs."""
    wide: int = int(config.head_dim) * int(config.num_attention_heads) * width // (config.hidden_size * heads)
    return max(2, wide - wide % 2)


def _key_value_heads(config: Any, heads: int, wide: int | None) -> int:
    """The teacher's ratio of query to key heads, as far as it divides; of heads that can be cut out of the teacher's,
    which are `wide`, as few as serve them. Raises `InvalidConfig` where none do."""
    theirs = cutting.Sizes.of(config)
    if wide == theirs.head_width and heads <= theirs.heads:
        found = cutting.key_heads(theirs, heads)
        if found is None:
            fit = [number for number in range(1, theirs.heads + 1) if cutting.key_heads(theirs, number)]
            fewer, more = max(n for n in fit if n < heads), min(n for n in fit if n > heads)
            raise InvalidConfig(
                f"{heads} heads cannot be cut out of {theirs.heads} that share {theirs.key_heads} keys and values.",
                f"Give {fewer} or {more} heads.",
                {"heads": heads, "fewer": fewer, "more": more},
            )
        return found
    wanted = max(1, heads * config.num_key_value_heads // config.num_attention_heads)
    return next(count for count in range(wanted, 0, -1) if heads % count == 0)


def _copied(smaller: Any, config: Any, wanted: str) -> bool:
    """Whether the first weights are the teacher's."""
    agree = bool(smaller.hidden_size == config.hidden_size)
    if wanted == "teacher" and not agree:
        raise InvalidConfig(
            f"Weights cannot be copied: the student is {smaller.hidden_size} wide, the teacher {config.hidden_size}.",
            "Set width to the teacher's, or initialise to random.",
        )
    return agree and wanted != "random"


@torch.no_grad()
def copy_blocks(network: Any, teacher: Any) -> tuple[int, ...]:
    """Copy embeddings, blocks and head from the teacher where name and shape agree; student block j takes the teacher's
    `blocks_for`(L_t, L_s)[j], with the heads and hidden units that it has room for. Returns the teacher's block
    numbers."""
    ours, theirs = network.config.num_hidden_layers, teacher.config.num_hidden_layers
    taken = blocks_for(theirs, ours)
    here, there = layers_path(network, ours), layers_path(teacher, theirs)
    source, own = teacher.state_dict(), network.state_dict()
    for name, tensor in own.items():
        if not name.startswith(f"{here}.") and name in source and source[name].shape == tensor.shape:
            tensor.copy_(source[name])
    sizes = cutting.Sizes.of(teacher.config), cutting.Sizes.of(network.config)
    for number, block in enumerate(taken):
        target = _block(own, f"{here}.{number}.")
        shapes = {name: tensor.shape for name, tensor in target.items()}
        for name, tensor in cutting.cut(_block(source, f"{there}.{block}."), *sizes, shapes).items():
            target[name].copy_(tensor)
    return taken


def _block(state: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    return {name.removeprefix(path): tensor for name, tensor in state.items() if name.startswith(path)}


@torch.no_grad()
def copy_rows(network: Any, teacher: Any, kept: Sequence[int]) -> None:
    """Give the student's token i the teacher's embedding of its token `kept`[i], where their widths agree."""
    ours, theirs = network.get_input_embeddings().weight, teacher.get_input_embeddings().weight
    if ours.shape[1] == theirs.shape[1]:
        ours[: len(kept)] = theirs[list(kept)].to(ours)
