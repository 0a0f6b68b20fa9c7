"""The tensors of a file that is to be made, and what can be done to them before they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import translate
from math import prod

import torch

from gpu_worker.convert.entries import Entry
from gpu_worker.convert.layout import VAE, is_position_ids, part_of, vae_originals
from gpu_worker.convert.source import Source
from gpu_worker.convert.writer import Planned
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.families.vae import vae_names
from gpu_worker.protocol.specs import Parts, Precision

__all__ = ["Rows", "bake_vae", "cast_rows", "discard", "fix_position_ids", "rows_of", "sum_dtype"]

Rows = dict[str, Planned]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_LATENT_CHANNELS = 4


def rows_of(source: Source, wanted: Callable[[str], bool] = lambda key: True) -> Rows:
    return {
        key: Planned(entry, lambda key=key: source.read(key)) for key, entry in source.entries.items() if wanted(key)
    }


def sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """What sums of numbers of this type are made in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def bake_vae(rows: Rows, vae: Source) -> Rows:
    """With another VAE, from a VAE's file in any layout or from a checkpoint. Raises EngineError `bad_model`."""
    names = vae_names(vae.entries)
    originals = vae_originals(names.values())
    new = {f"{VAE}{originals[name]}": key for key, name in names.items()}
    stem = new.get(f"{VAE}decoder.conv_in.weight")
    if stem is None or f"{VAE}encoder.conv_in.weight" not in new:
        raise EngineError("bad_model", f"{vae.path}: no VAE", {"vae": vae.name, "problem": "unknown_layout"})
    if vae.entries[stem].shape[1:2] != (_LATENT_CHANNELS,):
        raise EngineError("bad_model", f"{vae.path}: other latents", {"vae": vae.name, "problem": "unsupported"})
    kept = {key: row for key, row in rows.items() if not key.startswith(VAE)}
    return kept | {to: _vae_row(vae, to, key) for to, key in new.items()}


def _vae_row(vae: Source, to: str, key: str) -> Planned:
    entry = vae.entries[key]
    # The original layout's attention is made of convolutions, diffusers' of matrices.
    matrix = ".mid.attn_" in to and len(entry.shape) == 2
    shape = (*entry.shape, 1, 1) if matrix else entry.shape
    return Planned(replace(entry, shape=shape), lambda: vae.read(key).reshape(shape))


def fix_position_ids(rows: Rows) -> Rows:
    """Whole numbers from 0, whatever a merge elsewhere made of them (behaviours §12.5)."""
    fixed = dict(rows)
    for key, row in rows.items():
        if is_position_ids(key):
            shape = row.entry.shape
            made = Entry(shape, torch.int64)
            fixed[key] = Planned(made, lambda shape=shape: torch.arange(prod(shape)).reshape(shape))
    return fixed


def discard(rows: Rows, patterns: Sequence[str]) -> Rows:
    """Without the keys that match one of `patterns` (`*`, `?`, as in file names)."""
    if not patterns:
        return rows
    known = [re.compile(translate(pattern)) for pattern in patterns]
    return {key: row for key, row in rows.items() if not any(pattern.match(key) for pattern in known)}


def cast_rows(rows: Rows, precision: Precision, parts: Parts | None = None) -> Rows:
    """Floats in `precision`, everything else as it is; parts that are not wanted are left out."""
    cast: Rows = {}
    for key, row in rows.items():
        treatment = getattr(parts, part_of(key)) if parts is not None else "convert"
        if treatment == "delete":
            continue
        dtype = row.own or row.entry.dtype
        if treatment == "convert" and dtype.is_floating_point:
            dtype = _DTYPES.get(precision, dtype)
        if dtype == row.entry.dtype:
            cast[key] = row
        else:
            made = replace(row.entry, dtype=dtype)
            cast[key] = Planned(made, lambda key=key, row=row, dtype=dtype: _cast(key, row.make(), dtype))
    return cast


def _cast(key: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Raises EngineError `bad_input` (`overflow`) where a finite number does not fit."""
    result = tensor.to(dtype)
    if dtype == torch.float16 and tensor.dtype != dtype and bool((result.isinf() & tensor.isfinite()).any()):
        raise EngineError("bad_input", f"{key} does not fit half precision", {"reason": "overflow", "key": key})
    return result
