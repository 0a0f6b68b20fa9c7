"""One model file as the bot knows it, and what a refresh reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_worker.protocol.messages import ModelKind

__all__ = ["LibraryFile", "RefreshReport", "ScanProgress"]


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """A model, a file or a diffusers folder. Equal ids are equal paths, over restarts."""

    id: str
    """Ten of a-z and 0-9: fits a custom_id."""
    kind: ModelKind
    name: str
    """What a prompt or an option calls it; the worker uses the same name."""
    path: Path
    read_only: bool
    """It lies in a folder that is not ours: an extra folder of the operator, or the demo."""
    family: str | None
    variant: str | None
    alias: str | None
    guessed: bool
    """The family is only guessed from the name."""
    problem: str | None
    """A reason key of ModelFact.problem."""
    size_bytes: int
    """Of a folder everything in it."""
    precision: str | None
    """`fp32`, `fp16`, `bf16`, `fp8`, or two of them joined by ` + ` where neither has nine tenths of the numbers."""
    sha256: str | None
    """None until hashed; of a diffusers folder that of its UNet."""
    autov3: str | None
    """First 12 characters of the hash of a LoRA's data without its header."""
    metadata: Mapping[str, Any]
    """A small choice of the header's `ss_*` and `modelspec.*`, and of sidecars; values are text, numbers or lists."""
    trigger_words: tuple[str, ...]
    preview: Path | None
    title: str | None
    base: str | None
    """The base model as people call it, e.g. `SD 1.5`."""
    note: str | None
    source: str | None
    """Where it was downloaded from."""
    added_by: int | None
    added_in: int | None
    """The server that added it; None: it is the operator's."""
    added_at: float
    """Unix seconds: when it was added, else when the scan first saw it."""
    last_used_at: float | None
    times_used: int

    @property
    def short_hash(self) -> str | None:
        """A1111's: ten characters."""
        return self.sha256[:10] if self.sha256 else None


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """`done` of `total` files; `total` is 0 while folders are still being listed."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class RefreshReport:
    total: int
    added: tuple[str, ...]
    """Ids."""
    removed: tuple[str, ...]
    """Names of what is gone."""
    changed: tuple[str, ...]
    unusable: int
    took_s: float
