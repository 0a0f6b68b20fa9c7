"""`python -m gpu_worker.language.rewrite SOURCE TARGET`: what `torch.save` wrote, as a safetensors file.

Nothing in the pickle is executed (pickles.py), no torch is needed, and the same file always gives the same bytes. A
process of its own, for a hostile file may cost memory and time. Where it fails, the last line of its output names the
problem: `corrupt`, `unsafe`, `unknown_layout`, `disk`.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from gpu_worker.language.headers import HeaderError
from gpu_worker.language.kinds import WRAPPERS
from gpu_worker.language.module_pickles import class_names
from gpu_worker.language.pickle_machine import DTYPE_BYTES
from gpu_worker.language.pickles import PickledTensor, flat_tensors, read_pickled
from gpu_worker.language.reader import be_modest

__all__ = ["main", "rewrite"]

ALIASES_LIMIT = 3
"""Tensors may share memory; written out they may be this many times the file, and no more."""
PIECE_BYTES = 8 << 20
_EMBEDDING = "string_to_param"
_TYPES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}  # fmt: skip
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def rewrite(source: Path, target: Path) -> None:
    """`target` appears when it is whole and on the disk. Raises HeaderError (`corrupt`, `unsafe`, `unknown_layout`),
    OSError."""
    pickled = read_pickled(source, networks=True)
    tensors = _named(pickled.content)
    if not tensors:
        raise HeaderError("unknown_layout")
    # Wider types first, so that each is aligned.
    order = sorted(tensors, key=lambda key: (-DTYPE_BYTES[tensors[key].storage.kind], key))
    if sum(_size(tensors[key]) for key in order) > ALIASES_LIMIT * source.stat().st_size:
        raise HeaderError("corrupt")
    part = target.with_name(f".{target.name}.part")
    try:
        with source.open("rb") as given, part.open("wb") as made:
            made.write(_header(order, tensors, class_names(pickled.content)))
            for key in order:
                place = pickled.places[tensors[key].storage.key]
                for piece in _pieces(given, place[0], tensors[key]):
                    made.write(piece)
            made.flush()
            os.fsync(made.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _named(content: Any) -> dict[str, PickledTensor]:
    """A1111's textual inversion has its one tensor by any name; in safetensors that is `emb_params` (behaviours §4)."""
    found = flat_tensors(content, WRAPPERS)
    if isinstance(content, dict) and _EMBEDDING in cast("dict[Any, Any]", content) and len(found) == 1:
        return {"emb_params": next(iter(found.values()))}
    return {key: tensor for key, tensor in found.items() if key != "__metadata__"}


def _size(tensor: PickledTensor) -> int:
    return math.prod(tensor.shape) * DTYPE_BYTES[tensor.storage.kind]


def _header(order: list[str], tensors: Mapping[str, PickledTensor], classes: tuple[str, ...]) -> bytes:
    metadata = {"format": "pt"} | ({"names": json.dumps(classes)} if classes else {})
    header: dict[str, Any] = {"__metadata__": metadata}
    at = 0
    for key in order:
        end = at + _size(tensors[key])
        kind = _TYPES[tensors[key].storage.kind]
        header[key] = {"dtype": kind, "shape": list(tensors[key].shape), "data_offsets": [at, end]}
        at = end
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _pieces(file: BinaryIO, storage_at: int, tensor: PickledTensor) -> Iterator[bytes | memoryview]:
    """In C order. `read_pickled` has checked that all of it lies within the file."""
    item = DTYPE_BYTES[tensor.storage.kind]
    if 0 in tensor.shape:
        return
    file.seek(storage_at + tensor.offset * item)
    if _is_contiguous(tensor):
        left = _size(tensor)
        while left:
            piece = file.read(min(left, PIECE_BYTES))
            if not piece:
                raise HeaderError("corrupt")
            left -= len(piece)
            yield piece
        return
    extent = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True)) + 1
    raw: Any = cast("Any", memoryview(file.read(extent * item))).cast(_FORMATS[item])
    *outer, last = tensor.shape
    *steps, step = tensor.stride
    for index in itertools.product(*(range(size) for size in outer)):
        start = sum(at * of for at, of in zip(index, steps, strict=True))
        yield raw[start : start + (last - 1) * step + 1 : max(step, 1)].tobytes()


def _is_contiguous(tensor: PickledTensor) -> bool:
    expected = 1
    for size, step in zip(reversed(tensor.shape), reversed(tensor.stride), strict=True):
        if size != 1 and step != expected:
            return False
        expected *= size
    return True


def main(arguments: list[str]) -> int:
    be_modest()
    try:
        rewrite(Path(arguments[0]), Path(arguments[1]))
    except HeaderError as error:
        sys.stdout.write(f"{error.problem}\n")
    except OSError:
        sys.stdout.write("disk\n")
    except MemoryError:
        sys.stdout.write("corrupt\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
