"""Model files as people have them, small, and a look at what the bot keeps of them."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.product import Product

__all__ = ["listed", "lora_bytes", "lora_file"]


def lora_bytes(name: str, words: Sequence[str] = ("inkwash",), width: int = 320, rank: int = 2) -> bytes:
    """A LoRA of one layer, as kohya's trainer writes it."""
    key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    shapes = {f"{key}.lora_down.weight": [rank, width], f"{key}.lora_up.weight": [width, rank], f"{key}.alpha": [1]}
    header: dict[str, object] = {}
    data = b""
    for tensor, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[tensor] = {"dtype": "F16", "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += bytes(size)
    tags = {"img": {word: 9 - number for number, word in enumerate(words)}}
    header["__metadata__"] = {
        "ss_tag_frequency": json.dumps(tags), "ss_base_model_version": "sd_v1", "ss_output_name": name,
    }  # fmt: skip
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def lora_file(path: Path, words: Sequence[str] = ("inkwash",)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lora_bytes(path.stem, words))


def listed(product: Product, files: int) -> Product:
    """Waits until a running product has read that many files, the demo left out: on busy cores that takes a while."""
    deadline = time.monotonic() + 120
    while product.rows("SELECT count(*) FROM library_files")[0][0] < files:
        assert time.monotonic() < deadline, "the library was not read"
        time.sleep(0.2)
    return product
