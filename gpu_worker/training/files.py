"""Writes what was trained: a safetensors file with kohya's keys and metadata (behaviours §24.5, §24.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from gpu_worker.training.state import write_whole

__all__ = ["PRECISIONS", "write_network"]

PRECISIONS = {"float": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

_LEGACY_FROM, _LEGACY_BYTES = 0x100000, 0x10000


def write_network(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """With the two hashes by which A1111's extensions know a LoRA. Raises OSError."""
    training = {key: value for key, value in metadata.items() if key.startswith("ss_")}
    data = save(dict(tensors), training)
    header = int.from_bytes(data[:8], "little")
    hashes = {
        "sshs_model_hash": hashlib.sha256(data[8 + header :]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(data[_LEGACY_FROM : _LEGACY_FROM + _LEGACY_BYTES]).hexdigest()[:8],
    }
    whole = save(dict(tensors), {**metadata, **hashes})
    write_whole(path, lambda file: file.write(whole))
