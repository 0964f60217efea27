"""What a checkpoint's pickle may describe, as plain data: no name is imported and nothing is called to build it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

from distill.safetensors_header import DTYPE_BYTES
from worker.converter.refusal import refusal, refuse, shown

_LARGEST = 2**62
DTYPES = MappingProxyType(
    {
        "float64": "F64",
        "float32": "F32",
        "float16": "F16",
        "bfloat16": "BF16",
        "int64": "I64",
        "int32": "I32",
        "int16": "I16",
        "int8": "I8",
        "uint8": "U8",
        "bool": "BOOL",
        "uint16": "U16",
        "uint32": "U32",
        "uint64": "U64",
        "float8_e4m3fn": "F8_E4M3",
        "float8_e5m2": "F8_E5M2",
    }
)
"""torch's name of a dtype -> safetensors'."""

_STORAGES = MappingProxyType(
    {
        "DoubleStorage": "F64",
        "FloatStorage": "F32",
        "HalfStorage": "F16",
        "BFloat16Storage": "BF16",
        "LongStorage": "I64",
        "IntStorage": "I32",
        "ShortStorage": "I16",
        "CharStorage": "I8",
        "ByteStorage": "U8",
        "BoolStorage": "BOOL",
    }
)
_UNTYPED = frozenset({"torch.storage.UntypedStorage", "torch.UntypedStorage"})


@dataclass(frozen=True, slots=True)
class Name:
    """A dotted name that the pickle mentions: one of `ALLOWED_NAMES`."""

    path: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A harmless value that no tensor is (a device, bytes)."""

    kind: str


class Ordered(dict[Any, Any]):
    """A `collections.OrderedDict` or `Counter`: the mappings that may carry attributes."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes in the file: `key` names them, `dtype` is safetensors' (U8 for untyped)."""

    key: str
    dtype: str
    elements: int

    @property
    def bytes(self) -> int:
        return self.elements * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A strided view of a storage; offset and strides count elements of `dtype`."""

    storage: Storage
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return prod(self.shape) * DTYPE_BYTES[self.dtype]


def storage_dtype(path: str) -> str:
    """The dtype of a storage class by its dotted name, `torch.FloatStorage`."""
    short = path.rsplit(".", 1)[-1]
    if path in _UNTYPED:
        return "U8"
    if path in (f"torch.{short}", f"torch.cuda.{short}") and short in _STORAGES:
        return _STORAGES[short]
    raise refusal(f"it holds a {shown(path)}; only plain dense tensors are taken")


def make_storage(identifier: Any, known: dict[str, Storage], *, legacy: bool) -> Storage:
    """From torch's persistent id ("storage", class, key, location, elements), in the legacy format with a view (None)
    after it. A key has one description."""
    if not isinstance(identifier, tuple) or len(identifier) != 5 + legacy or identifier[0] != "storage":
        refuse("it refers to something outside itself that is no tensor storage")
    _, kind, key, location, elements = identifier[:5]
    view = identifier[5] if legacy else None
    if not (isinstance(kind, Name) and isinstance(key, str) and isinstance(location, str) and _is_count(elements)):
        refuse("a tensor storage is not described as torch describes it")
    if view is not None or not key.isascii() or not key.isdigit() or len(key) > 20:
        refuse(f"the tensor storage {shown(key)} is a view or has an unusual key")
    storage = Storage(key, storage_dtype(kind.path), elements)
    if known.setdefault(key, storage) != storage:
        refuse(f"the tensor storage {key} is described twice, differently", storage=key)
    return storage


def make_tensor(storage: Any, offset: Any, shape: Any, stride: Any, dtype: str | None, dimensions: int) -> Tensor:
    """A tensor within its storage. Refused: out of bounds, or more elements than the storage has (stride 0)."""
    if not isinstance(storage, Storage) or not _is_count(offset) or not _are_counts(shape) or not _are_counts(stride):
        refuse("a tensor is not described as torch describes it")
    if len(shape) != len(stride) or len(shape) > dimensions:
        refuse(f"a tensor has {len(shape)} dimensions and {len(stride)} strides", storage=storage.key)
    tensor = Tensor(storage, dtype or storage.dtype, tuple(shape))
    width = DTYPE_BYTES[tensor.dtype]
    last = sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    end = offset + last + 1 if prod(shape) else offset
    if end * width > storage.bytes:
        refuse("a tensor reaches outside its storage", storage=storage.key, shape=str(shape)[:100])
    if tensor.bytes > storage.bytes:
        refuse("a tensor repeats its storage's elements (it was expanded)", storage=storage.key)
    return tensor


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _LARGEST


def _are_counts(value: Any) -> bool:
    return isinstance(value, tuple) and all(_is_count(item) for item in value)


Builder = Callable[[tuple[Any, ...], int], Any]
"""(arguments of the call, largest number of dimensions) -> value."""


def _no_hooks(hooks: Any) -> None:
    if hooks is not None and not (isinstance(hooks, Ordered) and not hooks):
        refuse("a tensor carries hooks")


def _tensor_v2(args: tuple[Any, ...], dimensions: int) -> Tensor:
    if not 4 <= len(args) <= 7 or (len(args) == 7 and args[6] not in (None, {})):
        refuse("a tensor is not described as torch describes it")
    _no_hooks(args[5] if len(args) > 5 else None)
    return make_tensor(args[0], args[1], args[2], args[3], None, dimensions)


def _tensor_v3(args: tuple[Any, ...], dimensions: int) -> Tensor:
    plain = len(args) in (7, 8) and isinstance(args[6], Name) and (len(args) == 7 or args[7] in (None, {}))
    dtype = DTYPES.get(args[6].path.removeprefix("torch.")) if plain else None
    if dtype is None:
        refuse("a tensor is not described as torch describes it, or its dtype is not taken")
    _no_hooks(args[5])
    return make_tensor(args[0], args[1], args[2], args[3], dtype, dimensions)


def _parameter(args: tuple[Any, ...], dimensions: int) -> Tensor:
    if len(args) != 3 or not isinstance(args[0], Tensor):
        refuse("a parameter is not described as torch describes it")
    _no_hooks(args[2])
    return args[0]


def _mapping(args: tuple[Any, ...], dimensions: int) -> Ordered:
    if args and not (len(args) == 1 and isinstance(args[0], dict)):
        refuse("a dictionary is made from something else")
    return Ordered(args[0] if args else {})


def _size(args: tuple[Any, ...], dimensions: int) -> tuple[int, ...]:
    if len(args) != 1 or not _are_counts(args[0]):
        refuse("a torch.Size is made from something else")
    return tuple(args[0])


def _device(args: tuple[Any, ...], dimensions: int) -> Opaque:
    if not (1 <= len(args) <= 2 and isinstance(args[0], str) and all(type(item) in (str, int) for item in args)):
        refuse("a torch.device is made from something else")
    return Opaque("device")


def _bytes(args: tuple[Any, ...], dimensions: int) -> Opaque:
    if len(args) != 2 or not isinstance(args[0], str) or args[1] != "latin1":
        refuse("bytes are made from something else")
    return Opaque("bytes")


BUILDERS: MappingProxyType[str, Builder] = MappingProxyType(
    {
        "torch._utils._rebuild_tensor": _tensor_v2,
        "torch._utils._rebuild_tensor_v2": _tensor_v2,
        "torch._utils._rebuild_tensor_v3": _tensor_v3,
        "torch._utils._rebuild_parameter": _parameter,
        "collections.OrderedDict": _mapping,
        "collections.Counter": _mapping,
        "torch.Size": _size,
        "torch.device": _device,
        "_codecs.encode": _bytes,
    }
)
"""The calls that a pickle may ask for."""

_CLASSES = {f"torch.{short}" for short in _STORAGES} | {f"torch.cuda.{short}" for short in _STORAGES} | _UNTYPED
ALLOWED_NAMES = frozenset(BUILDERS) | _CLASSES | {f"torch.{dtype}" for dtype in DTYPES}
"""Every dotted name that a pickle may mention; any other ends the conversion before torch sees the file."""
