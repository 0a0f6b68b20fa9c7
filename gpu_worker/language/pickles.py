"""Reads what `torch.save` wrote without executing any of it: names, types, shapes of the tensors, and where they lie.

A pickle is a program that may call anything. Here a small machine runs its opcodes over inert values: a class or
function is only a name, calling it only notes the arguments, and any name that checkpoints have no need of ends the
reading. Formats: the zip of torch 1.6 and later, and the older row of pickles (torch/serialization.py). Allow-list:
behaviours §12.2.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from gpu_worker.language.headers import HeaderError

__all__ = ["DTYPE_BYTES", "Inert", "PickledFile", "PickledTensor", "Storage", "flat_tensors", "read_pickled"]

DTYPE_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Size of an element, by the class of the storage."""

PROGRAM_LIMIT_BYTES = 64 << 20
"""The pickle alone; that of a full checkpoint with optimizer state has a few megabytes."""
STREAM_LIMIT = 1 << 20
"""Storages of one file."""
DIMENSION_LIMIT = 64
"""torch's own."""
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

_MEMBER = re.compile(
    r"[^/]+/(data\.pkl|version|byteorder|\.data/serialization_id|\.format_version|\.storage_alignment|data/\d+)"
)
_ALLOWED = frozenset({
    "collections.OrderedDict", "collections.defaultdict", "builtins.set", "builtins.frozenset", "builtins.dict",
    "builtins.list", "__builtin__.set", "__builtin__.dict", "__builtin__.list", "_codecs.encode",
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_device_tensor_from_numpy", "torch._tensor._rebuild_from_type_v2", "torch.Tensor",
    "torch.nn.parameter.Parameter", "torch.nn.modules.container.ParameterDict", "torch.Size", "torch.device",
    "torch.float16", "torch.float32", "torch.float64", "torch.bfloat16", "torch.int64", "torch.int32", "torch.uint8",
    "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct", "numpy.dtype", "numpy.ndarray", "numpy.float64", "numpy.float32",
    "numpy.int64",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    *(f"torch.{name}" for name in DTYPE_BYTES), *(f"torch.cuda.{name}" for name in DTYPE_BYTES),
})  # fmt: skip


@dataclass(frozen=True)
class Storage:
    """`kind` is the class of the storage, which tells the element type; `numel` counts elements."""

    kind: str
    key: str
    numel: int


@dataclass(frozen=True)
class PickledTensor:
    """Offset and strides count elements of the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(eq=False)
class Inert:
    """A name, or what calling it would have made: never more than a note."""

    name: str
    args: tuple[Any, ...] | None = None
    """None for the bare name."""
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict[Any, Any])


@dataclass(frozen=True)
class PickledFile:
    content: Any
    """Dicts, lists, tuples, plain values, PickledTensor and Inert."""
    places: Mapping[str, tuple[int, int]]
    """Storage key → offset and length of its bytes in the file."""


def read_pickled(path: Path) -> PickledFile:
    """Reads no tensor's data. Raises HeaderError: `unsafe` for a program that asks for more than tensors need,
    `corrupt` for everything else that is no whole file of torch.save."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            start = file.read(4)
            file.seek(0)
            found = _zipped(file, size_bytes) if start == b"PK\x03\x04" else _legacy(file, size_bytes)
    except _DAMAGE as error:
        raise HeaderError("corrupt") from error
    for tensor in _walk(found.content):
        _check(tensor, found.places)
    return found


def flat_tensors(content: Any, wrappers: Sequence[str] = ("state_dict",)) -> dict[str, PickledTensor]:
    """The tensors of a dict by their keys, what is none left out. A dict below one of `wrappers` stands for the whole
    (twice at most, behaviours §12.3)."""
    for _ in range(2):
        content = next((content[key] for key in wrappers if _has(content, key)), content)
    items = _items(content)
    return {key: value for key, value in items.items() if isinstance(key, str) and isinstance(value, PickledTensor)}


def _has(content: Any, key: str) -> bool:
    return isinstance(content, dict) and isinstance(cast("dict[Any, Any]", content).get(key), (dict, Inert))


def _items(value: Any) -> dict[Any, Any]:
    """The entries of a dict, or of a class that is one (a ParameterDict keeps them in its state)."""
    if isinstance(value, dict):
        return cast("dict[Any, Any]", value)
    if isinstance(value, Inert):
        state: Any = value.state
        inner: Any = cast("dict[Any, Any]", state).get("_parameters") if isinstance(state, dict) else None
        return cast("dict[Any, Any]", inner) if isinstance(inner, dict) else value.items
    return {}


def _walk(content: Any) -> Iterator[PickledTensor]:
    """Every tensor, each container once, without recursion: a hostile file nests as deep as it likes."""
    seen: set[int] = set()
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, PickledTensor):
            yield value
        if not isinstance(value, (dict, list, tuple, Inert)) or id(cast("object", value)) in seen:
            continue
        seen.add(id(cast("object", value)))
        if isinstance(value, dict):
            waiting.extend(cast("dict[Any, Any]", value).values())
        elif isinstance(value, Inert):
            waiting.extend((value.state, value.items, value.args))
        else:
            waiting.extend(cast("list[Any]", value))


def _check(tensor: PickledTensor, places: Mapping[str, tuple[int, int]]) -> None:
    """Raises HeaderError unless the tensor lies within its storage, its storage within the file, and no element of it
    is given twice (a file of a few bytes could else ask for any amount of memory)."""
    storage, numel, last = tensor.storage, 1, tensor.offset
    place = places.get(storage.key)
    whole = place is not None and storage.numel * DTYPE_BYTES[storage.kind] <= place[1]
    if len(tensor.shape) != len(tensor.stride) or len(tensor.shape) > DIMENSION_LIMIT or tensor.offset < 0:
        raise HeaderError("corrupt")
    for size, step in zip(tensor.shape, tensor.stride, strict=True):
        if size < 0 or step < 0:
            raise HeaderError("corrupt")
        numel *= size
        last += max(0, size - 1) * step
    if not whole or numel > storage.numel or (numel and last >= storage.numel):
        raise HeaderError("corrupt")


def _zipped(file: BinaryIO, size_bytes: int) -> PickledFile:
    """Members must be named as torch names them and stored as they are, all of them within the file."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        roots = {member.filename.partition("/")[0] for member in members}
        names = {member.filename.partition("/")[2]: member for member in members}
        whole = sum(member.file_size for member in members) <= size_bytes
        plain = all(
            _MEMBER.fullmatch(member.filename)
            and member.compress_type == zipfile.ZIP_STORED
            and member.file_size == member.compress_size
            for member in members
        )
        if not whole or not plain or len(roots) != 1 or "data.pkl" not in names:
            raise HeaderError("corrupt")
        if "byteorder" in names and archive.read(names["byteorder"])[:16].strip() != b"little":
            raise HeaderError("corrupt")
        if names["data.pkl"].file_size > PROGRAM_LIMIT_BYTES:
            raise HeaderError("corrupt")
        content = _Machine().run(io.BytesIO(archive.read(names["data.pkl"])))
        places = {
            name.removeprefix("data/"): (_data_offset(file, member), member.file_size)
            for name, member in names.items()
            if name.startswith("data/")
        }
    if any(offset + length > size_bytes for offset, length in places.values()):
        raise HeaderError("corrupt")
    return PickledFile(content, places)


def _data_offset(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Where a stored member's bytes begin: after its local header of 30 bytes, name and extra field."""
    file.seek(member.header_offset)
    header = file.read(30)
    if len(header) != 30 or header[:4] != b"PK\x03\x04":
        raise HeaderError("corrupt")
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return member.header_offset + 30 + lengths


def _legacy(file: BinaryIO, size_bytes: int) -> PickledFile:
    """Five pickles in a row (magic, version, system, content, storage keys), then each storage: 8 bytes that count
    its elements, and its data. A file that is one pickle alone is judged all the same: it may be a trap."""
    program = io.BytesIO(file.read(min(size_bytes, PROGRAM_LIMIT_BYTES)))
    magic = _Machine().run(program)
    if magic != LEGACY_MAGIC or _Machine().run(program) != LEGACY_PROTOCOL:
        raise HeaderError("corrupt")
    system: Any = _Machine().run(program)
    if not isinstance(system, dict) or not cast("dict[Any, Any]", system).get("little_endian"):
        raise HeaderError("corrupt")
    machine = _Machine()
    content = machine.run(program)
    keys: Any = _Machine().run(program)
    if not isinstance(keys, list) or len(cast("list[Any]", keys)) > STREAM_LIMIT:
        raise HeaderError("corrupt")
    at = program.tell()
    places: dict[str, tuple[int, int]] = {}
    for key in cast("list[Any]", keys):
        storage = machine.storages[str(key)]
        file.seek(at)
        numel = int.from_bytes(file.read(8), "little")
        length = storage.numel * DTYPE_BYTES[storage.kind]
        if numel != storage.numel or at + 8 + length > size_bytes:
            raise HeaderError("corrupt")
        places[str(key)] = (at + 8, length)
        at += 8 + length
    return PickledFile(content, places)


_DAMAGE = (
    OSError, zipfile.BadZipFile, NotImplementedError, ValueError, LookupError, TypeError, OverflowError, EOFError,
    RuntimeError, struct.error, AttributeError,
)  # fmt: skip
"""What reading damaged bytes raises in the standard library."""


class _Machine:
    """Runs the opcodes that torch's pickles use; any other ends the reading."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, program: io.BytesIO) -> Any:
        """One pickle's value; `program` stands behind it afterwards. Raises HeaderError, and _DAMAGE."""
        self._stack.clear()
        self._marks.clear()
        self._memo.clear()
        for opcode, arg, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                (value,) = self._stack
                return value
            self._step(opcode.name, arg)
        raise HeaderError("corrupt")

    def _step(self, name: str, arg: Any) -> None:
        stack = self._stack
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            stack.append(arg)
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            self._memo[int(arg)] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(self._memo[int(arg)])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name in {"TUPLE1", "TUPLE2", "TUPLE3"}:
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name in _COLLECTIONS:
            self._collect(name)
        elif name == "GLOBAL":
            stack.append(_allowed(*arg.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_allowed(module, attribute))
        elif name == "REDUCE":
            args, function = stack.pop(), stack.pop()
            stack.append(_called(function, args))
        elif name == "NEWOBJ":
            args, made = stack.pop(), stack.pop()
            stack.append(_called(made, args))
        elif name == "BUILD":
            state, target = stack.pop(), stack[-1]
            if isinstance(target, Inert):
                target.state = state
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "POP":
            stack.pop()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name not in {"PROTO", "FRAME"}:
            raise HeaderError("unsafe")

    def _collect(self, name: str) -> None:
        stack = self._stack
        if name in {"APPEND", "SETITEM"}:
            count = 1 if name == "APPEND" else 2
            items = stack[-count:]
            del stack[-count:]
        else:
            at = self._marks.pop()
            items = stack[at:]
            del stack[at:]
        if name == "TUPLE":
            stack.append(tuple(items))
        elif name == "LIST":
            stack.append(items)
        elif name == "DICT":
            stack.append(_pairs({}, items))
        elif name in {"APPEND", "APPENDS"}:
            if isinstance(stack[-1], list):
                cast("list[Any]", stack[-1]).extend(items)
        elif name in {"SETITEM", "SETITEMS"}:
            _pairs(stack[-1], items)
        # ADDITEMS: nobody reads what is in a set

    def _storage(self, address: Any) -> Storage | Inert:
        """('storage', class, key, location, elements, …), or of older files ('module', class, its source file, its
        source), which stands for the class; torch has no other persistent ids."""
        if isinstance(address, tuple) and len(cast("tuple[Any, ...]", address)) == 4 and address[0] == "module":
            if not isinstance(address[1], Inert):
                raise HeaderError("unsafe")
            return address[1]
        if not isinstance(address, tuple) or len(cast("tuple[Any, ...]", address)) < 5:
            raise HeaderError("unsafe")
        word, kind, key, _, numel, *_ = cast("tuple[Any, ...]", address)
        if word != "storage" or not isinstance(kind, Inert) or not isinstance(numel, int) or numel < 0:
            raise HeaderError("unsafe")
        short = kind.name.rpartition(".")[2]
        if short not in DTYPE_BYTES or not isinstance(key, str):
            raise HeaderError("unsafe")
        storage = Storage(short, key, numel)
        if self.storages.setdefault(key, storage) != storage:
            raise HeaderError("corrupt")
        return storage


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
})  # fmt: skip
_EMPTY: dict[str, Any] = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_COLLECTIONS = frozenset({
    "TUPLE", "LIST", "DICT", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS",
})  # fmt: skip


def _allowed(module: Any, attribute: Any) -> Inert:
    name = f"{module}.{attribute}" if isinstance(module, str) and isinstance(attribute, str) else ""
    if name not in _ALLOWED:
        raise HeaderError("unsafe")
    return Inert(name)


def _called(function: Any, args: Any) -> Any:
    """What the call would make: a tensor or a dict where that is known, else a note."""
    if not isinstance(function, Inert) or function.args is not None or not isinstance(args, tuple):
        raise HeaderError("unsafe")
    args = cast("tuple[Any, ...]", args)
    short = function.name.rpartition(".")[2]
    if short in {"OrderedDict", "dict"} and not args:
        return {}
    if short in {"_rebuild_tensor", "_rebuild_tensor_v2"}:
        storage, offset, shape, stride, *_ = args
        if not isinstance(storage, Storage):
            raise HeaderError("corrupt")
        return PickledTensor(storage, int(offset), tuple(map(int, _plain(shape))), tuple(map(int, _plain(stride))))
    if short == "_rebuild_parameter" and args and isinstance(args[0], PickledTensor):
        return args[0]
    return Inert(function.name, args)


def _plain(value: Any) -> Any:
    """torch.Size called with a tuple is that tuple."""
    if isinstance(value, Inert) and value.name == "torch.Size" and value.args:
        return value.args[0]
    return value


def _pairs(target: Any, items: list[Any]) -> Any:
    """Keys must be plain: hashing a tuple nested by a hostile file would overflow the stack."""
    entries = cast("dict[Any, Any]", target) if isinstance(target, dict) else getattr(target, "items", None)
    if not isinstance(entries, dict):
        raise HeaderError("corrupt")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, (str, int, float, bytes)):
            entries[key] = value
    return cast("object", target)
