"""Checkpoints merged as A1111's Checkpoint Merger merges them (behaviours §12.5): weighted sum, add difference.

Sums are made in float32 and rounded once, where A1111 sums in the files' own precision. Keys without `model` in them
(the training schedule's buffers) stay A's. Running averages are left out: nothing that draws reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from gpu_worker.convert.entries import Entry
from gpu_worker.convert.layout import EMA, is_position_ids
from gpu_worker.convert.rows import Rows, rows_of, sum_dtype
from gpu_worker.convert.source import Source
from gpu_worker.convert.writer import Planned
from gpu_worker.engine.adapters.merge import LATENT_CHANNELS
from gpu_worker.engine.errors import EngineError
from gpu_worker.language.layouts import type_of
from gpu_worker.protocol.specs import MergeSpec

__all__ = ["Merged", "merged_rows"]

_WIDER = {9: "inpaint", 8: "pix2pix"}
"""A's first layer may read more than the latent; its further channels stay as they are."""


@dataclass(frozen=True)
class Merged:
    rows: Rows
    variant: str | None
    """What A's first layer was found to read beside the latent."""


def merged_rows(spec: MergeSpec, a: Source, b: Source | None, c: Source | None) -> Merged:
    """Raises EngineError `bad_input` (`merge_misfit`, with `checkpoint` and `other`; `merge_order` where A must be the
    inpainting or pix2pix checkpoint)."""
    rows = rows_of(a, lambda key: not key.startswith(EMA))
    if b is None:
        return Merged(rows, None)
    for other in (b, c):
        if other is not None and _family(other) != _family(a):
            raise _misfit(a, other, "another family")
    variant: str | None = None
    for key, row in list(rows.items()):
        if "model" not in key or is_position_ids(key) or key not in b.entries:
            continue
        if not row.entry.dtype.is_floating_point or not b.entries[key].dtype.is_floating_point:
            continue
        if c is not None and key in c.entries and c.entries[key].shape != b.entries[key].shape:
            raise _misfit(b, c, key)
        wider = _wider(key, a, b)
        variant = variant or wider
        own = row.entry.dtype
        rows[key] = Planned(Entry(row.entry.shape, sum_dtype(own)), _sum(spec, key, a, b, c), own)
    if spec.method == "weighted sum":
        # What A lacks is B's; a difference alone is no weight.
        rows |= {key: row for key, row in rows_of(b, _mergeable).items() if key not in rows}
    return Merged(rows, variant)


def _mergeable(key: str) -> bool:
    return "model" in key and not key.startswith(EMA) and not is_position_ids(key)


def _family(source: Source) -> str:
    known = type_of(source.shapes)
    if known is None:
        raise EngineError("bad_model", f"{source.path}", {"checkpoint": source.name, "problem": "unsupported"})
    return known[0]


def _wider(key: str, a: Source, b: Source) -> str | None:
    one, two = a.entries[key].shape, b.entries[key].shape
    if one == two:
        return None
    same = len(one) == len(two) == 4 and (one[0], *one[2:]) == (two[0], *two[2:])
    if same and one[1] in _WIDER and two[1] == LATENT_CHANNELS:
        return _WIDER[one[1]]
    if same and one[1] == LATENT_CHANNELS and two[1] in _WIDER:
        detail = {"reason": "merge_order", "checkpoint": b.name, "other": a.name}
        raise EngineError("bad_input", f"A must be the checkpoint with {two[1]} channels", detail)
    raise _misfit(a, b, f"{key}: {one} and {two}")


def _sum(spec: MergeSpec, key: str, a: Source, b: Source, c: Source | None) -> Callable[[], torch.Tensor]:
    share = spec.multiplier

    def make() -> torch.Tensor:
        total = a.read(key).to(sum_dtype(a.entries[key].dtype), copy=True)
        target = total if total.shape == b.entries[key].shape else total[:, :LATENT_CHANNELS]
        if spec.method == "weighted sum":
            target.mul_(1 - share).add_(b.read(key).to(total.dtype), alpha=share)
        elif c is not None and key in c.entries:
            target.add_(b.read(key).to(total.dtype) - c.read(key).to(total.dtype), alpha=share)
        return total

    return make


def _misfit(one: Source, other: Source, why: str) -> EngineError:
    detail = {"reason": "merge_misfit", "checkpoint": one.name, "other": other.name}
    return EngineError("bad_input", f"{one.path} and {other.path} cannot be merged: {why}", detail)
