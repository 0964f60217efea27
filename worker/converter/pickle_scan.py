"""Read a pickle without running it: the stack machine over an allow-list of opcodes, with plain data as values.

What `torch.load(weights_only=True)` would build is known after this, and that it stays small: before torch sees a byte.
The opcodes are those that torch's weights-only reader has, fewer where it makes objects (NEWOBJ, sets).
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, BinaryIO

from worker.converter.limits import ConverterLimits
from worker.converter.pickle_values import ALLOWED_NAMES, BUILDERS, Name, Ordered
from worker.converter.refusal import refusal, refuse, shown

Persistent = Callable[[Any], Any]
_KEYS = (str, int, float, bool, type(None))
_PYTHON_2 = MappingProxyType({"__builtin__": "builtins", "copy_reg": "copyreg"})
_LINE = 256


def scan(file: BinaryIO, limits: ConverterLimits, persistent: Persistent | None = None) -> Any:
    """The value that the pickle at the file's position describes; the file is left after its STOP.

    Values: None, bool, int, float, str, list, tuple, dict, and `worker.converter.pickle_values`. `persistent` turns a
    persistent id into a value; without one it is refused. Raises `InvalidTeacher` for everything else, within the
    caps of `limits` on bytes, operations, open marks and memo entries; time is linear in them.
    """
    return _Scanner(file, limits, persistent).run()


class _Scanner:
    def __init__(self, file: BinaryIO, limits: ConverterLimits, persistent: Persistent | None) -> None:
        self.file, self.limits, self.persistent = file, limits, persistent
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.left = limits.pickle_bytes

    def run(self) -> Any:
        for _ in range(self.limits.operations):
            code = self.take(1)
            if code == pickle.STOP:
                return self._result()
            handler = _HANDLERS.get(code)
            if handler is None:
                refuse(f"its pickle uses the operation {_opcode_name(code)}, which no tensor needs")
            handler(self)
        raise refusal(f"its pickle has more than {self.limits.operations} operations")

    def _result(self) -> Any:
        if len(self.stack) != 1 or self.marks:
            refuse("its pickle is malformed")
        return self.stack[0]

    def take(self, count: int) -> bytes:
        self.left -= count
        if self.left < 0:
            refuse(f"its pickle has more than {self.limits.pickle_bytes} bytes, or claims to")
        data = self.file.read(count)
        if len(data) != count:
            refuse("its pickle is truncated")
        return data

    def line(self) -> str:
        data = self.file.readline(_LINE)
        self.left -= len(data)
        if not data.endswith(b"\n") or not data.isascii():
            refuse("its pickle is malformed")
        return data[:-1].decode("ascii")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            refuse("its pickle is malformed")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            refuse("its pickle is malformed")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            refuse("its pickle is malformed")
        return self.stack[-1]


def _opcode_name(code: bytes) -> str:
    names = {value: name for name, value in vars(pickle).items() if name.isupper() and isinstance(value, bytes)}
    return names.get(code, repr(code))


def _protocol(scanner: _Scanner) -> None:
    protocol = scanner.take(1)[0]
    if protocol != 2:
        refuse(f"its pickle has protocol {protocol}; torch.save writes 2")


def _global(scanner: _Scanner) -> None:
    module, name = scanner.line(), scanner.line()
    path = f"{_PYTHON_2.get(module, module)}.{name}"
    if path not in ALLOWED_NAMES:
        refuse(f"its pickle asks for {shown(path)}, which plain weights never need", name=path[:200])
    scanner.push(Name(path))


def _reduce(scanner: _Scanner) -> None:
    arguments, function = scanner.pop(), scanner.pop()
    builder = BUILDERS.get(function.path) if isinstance(function, Name) else None
    if builder is None or not isinstance(arguments, tuple):
        refuse("its pickle calls something that is no tensor")
    scanner.push(builder(arguments, scanner.limits.dimensions))


def _build(scanner: _Scanner) -> None:
    """Attributes of a dictionary: the `_metadata` of a state dict, which no weight depends on."""
    state = scanner.pop()
    scanner.top(Ordered)
    if not isinstance(state, dict) or not set(state) <= {"_metadata"}:
        refuse("its pickle sets attributes of an object")


def _persistent_id(scanner: _Scanner) -> None:
    identifier = scanner.pop()
    if scanner.persistent is None:
        refuse("its pickle refers to a storage where there is none")
    scanner.push(scanner.persistent(identifier))


def _mark(scanner: _Scanner) -> None:
    if len(scanner.marks) >= scanner.limits.depth:
        refuse(f"its pickle is nested deeper than {scanner.limits.depth}")
    scanner.marks.append(scanner.stack)
    scanner.stack = []


def _remember(scanner: _Scanner, index: int) -> None:
    if index >= scanner.limits.memo or not scanner.stack:
        refuse(f"its pickle remembers more than {scanner.limits.memo} values")
    scanner.memo[index] = scanner.stack[-1]


def _recall(scanner: _Scanner, index: int) -> None:
    if index not in scanner.memo:
        refuse("its pickle recalls a value that it never had")
    scanner.push(scanner.memo[index])


def _tuple(count: int) -> Callable[[_Scanner], None]:
    def handle(scanner: _Scanner) -> None:
        scanner.push(tuple(reversed([scanner.pop() for _ in range(count)])))

    return handle


def _set_items(scanner: _Scanner, items: list[Any]) -> None:
    target = scanner.top(dict)
    keys = items[::2]
    if len(items) % 2 or not all(type(key) in _KEYS for key in keys):
        # A tuple as key would be hashed, and nested shared tuples take exponential time to hash.
        refuse("a dictionary of its pickle has keys that are neither text nor numbers")
    target.update(zip(keys, items[1::2], strict=True))


def _set_item(scanner: _Scanner) -> None:
    value, key = scanner.pop(), scanner.pop()
    _set_items(scanner, [key, value])


def _append(scanner: _Scanner) -> None:
    item = scanner.pop()
    scanner.top(list).append(item)


def _append_all(scanner: _Scanner, items: list[Any]) -> None:
    scanner.top(list).extend(items)


def _text(scanner: _Scanner, length: int) -> None:
    try:
        scanner.push(scanner.take(length).decode("utf-8"))
    except UnicodeDecodeError:
        refuse("its pickle holds text that is not UTF-8")


def _number(layout: str) -> Callable[[_Scanner], None]:
    parser = struct.Struct(layout)
    return lambda scanner: scanner.push(parser.unpack(scanner.take(parser.size))[0])


def _unsigned(scanner: _Scanner, width: int) -> int:
    return int.from_bytes(scanner.take(width), "little")


_HANDLERS: MappingProxyType[bytes, Callable[[_Scanner], None]] = MappingProxyType(
    {
        pickle.PROTO: _protocol,
        pickle.GLOBAL: _global,
        pickle.REDUCE: _reduce,
        pickle.BUILD: _build,
        pickle.BINPERSID: _persistent_id,
        pickle.MARK: _mark,
        pickle.APPEND: _append,
        pickle.APPENDS: lambda s: _append_all(s, s.pop_mark()),
        pickle.SETITEM: _set_item,
        pickle.SETITEMS: lambda s: _set_items(s, s.pop_mark()),
        pickle.TUPLE: lambda s: s.push(tuple(s.pop_mark())),
        pickle.TUPLE1: _tuple(1),
        pickle.TUPLE2: _tuple(2),
        pickle.TUPLE3: _tuple(3),
        pickle.EMPTY_TUPLE: lambda s: s.push(()),
        pickle.EMPTY_LIST: lambda s: s.push([]),
        pickle.EMPTY_DICT: lambda s: s.push({}),
        pickle.NONE: lambda s: s.push(None),
        pickle.NEWTRUE: lambda s: s.push(True),
        pickle.NEWFALSE: lambda s: s.push(False),
        pickle.BININT: _number("<i"),
        pickle.BININT1: _number("<B"),
        pickle.BININT2: _number("<H"),
        pickle.BINFLOAT: _number(">d"),
        pickle.LONG1: lambda s: s.push(int.from_bytes(s.take(s.take(1)[0]), "little", signed=True)),
        pickle.BINUNICODE: lambda s: _text(s, _unsigned(s, 4)),
        pickle.SHORT_BINSTRING: lambda s: _text(s, _unsigned(s, 1)),
        pickle.BINPUT: lambda s: _remember(s, _unsigned(s, 1)),
        pickle.LONG_BINPUT: lambda s: _remember(s, _unsigned(s, 4)),
        pickle.BINGET: lambda s: _recall(s, _unsigned(s, 1)),
        pickle.LONG_BINGET: lambda s: _recall(s, _unsigned(s, 4)),
    }
)
