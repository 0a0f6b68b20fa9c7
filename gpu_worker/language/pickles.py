"""Reads what `torch.save` wrote without executing any of it: names, types, shapes of the tensors, and where they lie.

Formats: the zip of torch 1.6 and later, and the older row of pickles (torch/serialization.py).
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from gpu_worker.language.headers import HeaderError
from gpu_worker.language.module_pickles import is_module, module_tensors
from gpu_worker.language.pickle_machine import DTYPE_BYTES, Inert, Machine, PickledTensor, Storage

__all__ = ["Inert", "PickledFile", "PickledTensor", "Storage", "flat_tensors", "read_pickled"]

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


@dataclass(frozen=True)
class PickledFile:
    content: Any
    """Dicts, lists, tuples, plain values, PickledTensor and Inert."""
    places: Mapping[str, tuple[int, int]]
    """Storage key → offset and length of its bytes in the file."""


def read_pickled(path: Path, *, networks: bool = False) -> PickledFile:
    """Reads no tensor's data. Raises HeaderError: `unsafe` for a program that asks for more than tensors need,
    `corrupt` for everything else that is no whole file of torch.save. With `networks` the modules of one that was saved
    whole may be named, too."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            start = file.read(4)
            file.seek(0)
            found = (_zipped if start == b"PK\x03\x04" else _legacy)(file, size_bytes, networks)
    except _DAMAGE as error:
        raise HeaderError("corrupt") from error
    for tensor in _walk(found.content):
        _check(tensor, found.places)
    return found


SECTIONS = ("image_proj", "ip_adapter")


def flat_tensors(content: Any, wrappers: Sequence[str] = ("state_dict",)) -> dict[str, PickledTensor]:
    """The tensors of a dict by their keys, what is none left out. A dict below one of `wrappers` stands for the whole
    (twice at most, behaviours §12.3), and a network that was saved whole for its weights."""
    for _ in range(2):
        content = next((content[key] for key in wrappers if _has(content, key)), content)
    if is_module(content):
        return module_tensors(content)
    items = _items(content)
    if all(_has(content, section) for section in SECTIONS):  # an IP-Adapter, as its safetensors files name it
        items = {f"{section}.{key}": value for section in SECTIONS for key, value in _items(items[section]).items()}
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


def _zipped(file: BinaryIO, size_bytes: int, networks: bool) -> PickledFile:
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
        content = Machine(networks).run(io.BytesIO(archive.read(names["data.pkl"])))
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


def _legacy(file: BinaryIO, size_bytes: int, networks: bool) -> PickledFile:
    """Five pickles in a row (magic, version, system, content, storage keys), then each storage: 8 bytes that count
    its elements, and its data. A file that is one pickle alone is judged all the same: it may be a trap."""
    program = io.BytesIO(file.read(min(size_bytes, PROGRAM_LIMIT_BYTES)))
    magic = Machine().run(program)
    if magic != LEGACY_MAGIC or Machine().run(program) != LEGACY_PROTOCOL:
        raise HeaderError("corrupt")
    system: Any = Machine().run(program)
    if not isinstance(system, dict) or not cast("dict[Any, Any]", system).get("little_endian"):
        raise HeaderError("corrupt")
    machine = Machine(networks)
    content = machine.run(program)
    keys: Any = Machine().run(program)
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
