"""Where a file can be had, and what its host says of it."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.protocol.messages import ModelKind

__all__ = ["Source"]


@dataclass(frozen=True, slots=True)
class Source:
    urls: tuple[str, ...]
    """The same file at each, best first."""
    filename: str | None = None
    """As the host says; not yet made safe."""
    size_bytes: int | None = None
    sha256: str | None = None
    """64 lower-case hex digits; what was fetched is held to it."""
    kind: ModelKind | None = None
    base: str | None = None
    """As the host calls it, e.g. `SD 1.5`."""
    trigger_words: tuple[str, ...] = ()
    preview_url: str | None = None
    page: str | None = None
    """For people; never with a secret in it."""
    title: str | None = None
