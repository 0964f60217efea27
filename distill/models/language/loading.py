"""A model folder's weights as a network: checked on shapes first, so that a wrong folder costs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from distill.errors import InvalidTeacher
from distill.models.checkpoint import SHOWN
from distill.models.language.config import class_names, family_of, plain, positions, read_config
from distill.models.language.folder import CONFIG, Folder
from distill.models.language.network import Task, base_of, build, for_task, pad_by, parameters, skeleton
from distill.models.language.tokenizer import Tokens
from distill.models.language.vocabulary import smallest

Shapes = dict[str, tuple[int, ...]]
_BUFFERS = re.compile(r"(^|\.)(position_ids|token_type_ids|attn\.bias|masked_bias|rotary_emb\.inv_freq)$")
_OLD_NORMS = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))


@dataclass(frozen=True, slots=True)
class Found:
    """What a model folder holds. `num_classes`: of its classification head, 0 where it has none (a base to fine-tune);
    `generates`: it is a causal decoder. `max_length` in tokens; `smallest_vocabulary`: the fewest tokens that a student
    may keep of its tokenizer, 0 where it keeps all; `ignored`: tensors of unused heads, the first 50. `config`:
    the plain values of its configuration, of which it and its students can be built without weights."""

    architecture: dict[str, Any]
    family: str
    num_classes: int
    classes: tuple[str, ...]
    generates: bool
    parameters: int
    layers: int
    width: int
    heads: int
    vocabulary: int
    smallest_vocabulary: int
    max_length: int
    tensors: int
    dtypes: tuple[str, ...]
    ignored: tuple[str, ...]
    config: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def examine(folder: Folder) -> Found:
    """Check everything: configuration, names and shapes of every tensor, that each value is finite, the tokenizer.

    Raises `InvalidTeacher` with the names of missing or wrongly shaped tensors.
    """
    config = read_config(folder.json(CONFIG))
    tokens = Tokens.load(folder, config)
    decoder = family_of(config).decoder
    classes = class_names(folder)
    headed = _match(folder, "classify", classes)
    fit = headed if headed.headed or not decoder else _match(folder, "generate", ())
    for _ in _finite(folder, fit):
        pass
    headers = folder.shards.values()
    return Found(
        architecture={"name": f"transformers:{config.model_type}", "options": {}},
        family=config.model_type,
        num_classes=len(classes) if headed.headed else 0,
        classes=classes if headed.headed else (),
        generates=decoder,
        parameters=parameters(fit.skeleton),
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        vocabulary=config.vocab_size,
        smallest_vocabulary=smallest(tokens.tokenizer),
        max_length=positions(config),
        tensors=len(folder.tensors),
        dtypes=tuple(sorted({info.dtype for header in headers for info in header.tensors.values()})),
        ignored=tuple(sorted(fit.ignored)[:SHOWN]),
        config=plain(config),
    )


@dataclass(frozen=True)
class Fit:
    """How a folder's tensors fill a network: file name -> network name; `headed`: the head's are among them."""

    skeleton: nn.Module
    names: dict[str, str]
    ignored: frozenset[str]
    headed: bool


def load(folder: Folder, task: Task, classes: Sequence[str]) -> tuple[nn.Module, bool]:
    """The network with the folder's weights, in eval mode, float32, on the CPU, and whether its head came with them
    (else the head is random, drawn from torch's global generator). Padding is the tokenizer's: see `pad_by`.
    Raises `InvalidTeacher`, `InvalidConfig`."""
    fit = _match(folder, task, classes)
    config = read_config(folder.json(CONFIG))
    pad = Tokens.load(folder, config).pad
    network = build(pad_by(for_task(config, task, classes), task, pad), task)
    target = network.state_dict()
    with torch.no_grad():
        for name, tensor in _finite(folder, fit):
            target[name].copy_(tensor)
    return network.eval(), fit.headed


def _match(folder: Folder, task: Task, classes: Sequence[str]) -> Fit:
    """Base tensors must all be there with their shapes (a pooler is the head's); the head's may be absent or of other
    classes."""
    config = for_task(read_config(folder.json(CONFIG)), task, classes)
    network = skeleton(config, task)
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    prefix, _ = base_of(network)
    names = _renamed(list(folder.tensors), set(expected), prefix)
    found = {names[name]: shape for name, shape in folder.tensors.items() if name in names}
    body, head = _parts(network, expected, prefix)
    _compare(config.model_type, body, found)
    headed = all(found.get(name) == shape for name, shape in head.items())
    # A head of other classes keeps what fits (the pooler of a base); the rest of it stays random.
    used = {file: name for file, name in names.items() if found[name] == (body | head).get(name)}
    ignored = frozenset(name for name in folder.tensors if name not in used and not _BUFFERS.search(name))
    return Fit(network, used, ignored, headed)


def _parts(network: nn.Module, expected: Shapes, prefix: str) -> tuple[Shapes, Shapes]:
    """What a base checkpoint must have, and what belongs to the task's head. A head that is tied to the embeddings
    needs no tensor of its own."""
    tied = set(getattr(network, "all_tied_weights_keys", None) or {}) if _ties(network) else set()
    inner = {name for name in expected if name.startswith(f"{prefix}.") and ".pooler." not in name}
    body = {name: expected[name] for name in expected if name in inner and not _BUFFERS.search(name)}
    head = {name: shape for name, shape in expected.items() if name not in inner and name not in tied}
    return body, {name: shape for name, shape in head.items() if not _BUFFERS.search(name)}


def _ties(network: Any) -> bool:
    return bool(getattr(network.config, "tie_word_embeddings", False))


def _renamed(names: list[str], expected: set[str], prefix: str) -> dict[str, str]:
    """File name -> the network's: old norms' names, and the prefix that checkpoints of the base alone lack."""
    bare = not any(name.startswith(f"{prefix}.") for name in names)
    result = {}
    for name in names:
        new = name
        for old, now in _OLD_NORMS:
            new = new.replace(old, now)
        if bare and f"{prefix}.{new}" in expected:
            new = f"{prefix}.{new}"
        if new in expected:
            result[name] = new
    return result


def _compare(family: str, expected: Shapes, found: Shapes) -> None:
    missing = [name for name in expected if name not in found]
    wrong = [
        f"{name} (file {list(found[name])}, config.json {list(shape)})"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if not (missing or wrong):
        return
    parts = {"missing": missing, "wrongly shaped": wrong}
    raise InvalidTeacher(
        f"The weights do not fit their config.json ({family}): "
        + "; ".join(f"{len(names)} {what} ({', '.join(names[:3])})" for what, names in parts.items() if names)
        + ".",
        "Send config.json and weights of one model, complete.",
        {key.replace(" ", "_"): {"count": len(names), "first": names[:5]} for key, names in parts.items()},
    )


def _finite(folder: Folder, fit: Fit) -> Iterator[tuple[str, Tensor]]:
    """(network name, tensor) of every used tensor; after the last, an error if any held NaN or infinity or was of an
    integer type."""
    bad: list[str] = []
    for shard in folder.shards:
        try:
            with safe_open(str(folder.path / shard), framework="pt", device="cpu") as file:
                for name in file.keys():  # noqa: SIM118  (safe_open is no mapping)
                    if name not in fit.names:
                        continue
                    tensor = file.get_tensor(name)
                    if not tensor.is_floating_point() or not bool(torch.isfinite(tensor.float()).all()):
                        bad.append(name)
                    yield fit.names[name], tensor
        except (SafetensorError, OSError, ValueError) as error:
            raise InvalidTeacher(f"{shard} cannot be read: {error}.", "Upload it again, complete.") from error
    if bad:
        raise InvalidTeacher(
            f"{len(bad)} tensors hold NaN, infinite or integer values ({', '.join(bad[:3])}).",
            "Upload the floating-point weights of a training run that did not diverge.",
            {"count": len(bad), "first": bad[:5]},
        )
