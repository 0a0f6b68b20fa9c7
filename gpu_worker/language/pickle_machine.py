"""Runs the opcodes of a pickle over inert values, so that nothing in it ever acts.

A pickle is a program that may call anything. Here a class or function is only a name, calling it only notes the
arguments, and any name that checkpoints have no need of ends the reading (allow-list: behaviours §12.2). Opcodes: the
standard library's pickletools.
"""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass, field
from typing import Any, cast

from gpu_worker.language.headers import HeaderError

__all__ = ["DTYPE_BYTES", "Inert", "Machine", "PickledTensor", "Storage"]

DTYPE_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Size of an element, by the class of the storage."""

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
_NETWORKS = ("torch.nn.modules.", "ultralytics.")
_IN_NETWORKS = frozenset({"builtins.getattr", "__builtin__.getattr", "pathlib.PosixPath", "pathlib.WindowsPath"})
"""What networks that were saved whole name besides: their modules' classes, as notes like all others."""


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


class Machine:
    """Runs the opcodes that torch's pickles use; any other ends the reading."""

    def __init__(self, networks: bool = False) -> None:
        """`networks` lets names of whole networks pass."""
        self._networks = networks
        self.storages: dict[str, Storage] = {}
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, program: io.BytesIO) -> Any:
        """One pickle's value; `program` stands behind it afterwards. Raises HeaderError, and what
        damaged bytes cause in the standard library."""
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
            stack.append(_allowed(*arg.split(" ", 1), networks=self._networks))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_allowed(module, attribute, networks=self._networks))
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


def _allowed(module: Any, attribute: Any, *, networks: bool) -> Inert:
    name = f"{module}.{attribute}" if isinstance(module, str) and isinstance(attribute, str) else ""
    known = name in _ALLOWED or (networks and (name.startswith(_NETWORKS) or name in _IN_NETWORKS))
    if not known:
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
