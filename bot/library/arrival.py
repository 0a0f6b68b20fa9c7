"""A file on its way into the library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.protocol.messages import ModelKind

__all__ = ["Arrival"]


@dataclass(frozen=True, slots=True)
class Arrival:
    path: Path
    """Finished and checked; it is moved away from there."""
    kind: ModelKind
    name: str
    """A file name, with or without a suffix; what no file system takes is replaced. A name that is taken gets a
    number."""
    source: str | None = None
    added_by: int | None = None
    added_in: int | None = None
    """The server whose it is; None: it is the operator's."""
    preview: Path | None = None
    before_seen: Callable[[str], Awaitable[None]] | None = None
    """Given its id before the file is there."""
