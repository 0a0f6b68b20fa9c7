"""Textual inversions that A1111 hides in pictures (behaviours §4): in a PNG's text, or in the low bits of its pixels.

Both hold JSON in which a tensor is `{"TORCHTENSOR": nested lists}`. In the pixels it is compressed by zlib, cut into
its low and its high half bytes, each half masked and laid in columns of its own left and right of the picture, parted
from it by a black line.
"""

from __future__ import annotations

import base64
import json
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from gpu_worker.engine.calls import Picture
from gpu_worker.engine.errors import EngineError

__all__ = ["read_embedding_picture"]

FORMATS = ("PNG", "WEBP", "AVIF")
LIMIT_PIXELS = 4096 * 4096
LIMIT_JSON_BYTES = 64 << 20
TEXT_KEY = "sd-ti-embedding"

_NO_PICTURE = (
    UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning, OSError, ValueError,
    SyntaxError, TypeError, KeyError, OverflowError, RecursionError, RuntimeError, zlib.error,
)  # fmt: skip


def read_embedding_picture(path: Path, what: dict[str, str]) -> dict[str, Any]:
    """The JSON object with its tensors. Raises EngineError `bad_model` for a picture that carries none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > LIMIT_PIXELS:
                    raise ValueError(f"a picture of {image.size}")
                image.load()  # text may come after the pixels
                text = image.info.get(TEXT_KEY)
                data = base64.b64decode(text) if isinstance(text, str) else _hidden(np.asarray(image.convert("RGB")))
        contents = json.loads(data, object_hook=_tensor) if data is not None else None
    except _NO_PICTURE as error:
        raise EngineError("bad_model", f"{path}: {error!r}", {**what, "problem": "corrupt"}) from error
    if not isinstance(contents, dict):
        raise EngineError("bad_model", f"{path}: a picture alone", {**what, "problem": "unknown_layout"})
    return contents


def _tensor(value: dict[str, Any]) -> Any:
    return torch.tensor(value["TORCHTENSOR"], dtype=torch.float32) if "TORCHTENSOR" in value else value


def _hidden(pixels: Picture) -> bytes | None:
    """`pixels` is [height, width, 3]. None where no two black lines are found in the low bits."""
    lit = pixels.min(axis=2) > 0
    if not lit.any():
        return None
    columns, rows = np.flatnonzero(lit.max(axis=0)), np.flatnonzero(lit.max(axis=1))
    framed: Picture = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    low = np.bitwise_and(framed, 0x0F, dtype=np.uint8)
    black = np.flatnonzero(low.sum(axis=(0, 2), dtype=np.int64) == 0)
    if len(black) < 2:
        return None
    lower, upper = _unmasked(low[:, : black[0]]), _unmasked(low[:, black[-1] + 1 :])
    if lower.shape != upper.shape or not lower.size:
        return None
    inflater = zlib.decompressobj()
    return inflater.decompress((upper << 4 | lower).tobytes(), LIMIT_JSON_BYTES)


def _unmasked(block: Picture) -> Picture:
    """A1111's mask: the congruential sequence x' = 1664525 x + 1013904223 mod 2^32 from 0, its values mod 255."""
    count = block.size
    values = np.array([1013904223], dtype=np.uint32)
    factor, addend = np.uint32(1664525), np.uint32(1013904223)
    with np.errstate(over="ignore"):
        while len(values) < count:
            # Twice as many: a step of all of them at once is again of the form a x + b.
            values = np.concatenate([values, values * factor + addend])
            addend = factor * addend + addend
            factor = factor * factor
    mask = (values[:count] % np.uint32(255)).astype(np.uint8).reshape(block.shape)
    return np.bitwise_xor(block, mask & 0x0F, dtype=np.uint8)
