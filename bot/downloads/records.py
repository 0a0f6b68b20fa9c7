"""A wish for a model file, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gpu_worker.protocol.messages import ModelKind

__all__ = ["ENDED", "Download", "DownloadState", "DownloadWish"]

DownloadState = Literal["waiting", "resolving", "downloading", "checking", "done", "failed", "cancelled"]
ENDED: frozenset[DownloadState] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class DownloadWish:
    """`asked_in` is whose the file will be: a server, or None for the operator's."""

    link: str
    """One link, as `parse_links` gives it in `Link.url`; of an attachment, its name."""
    kind: ModelKind | None = None
    """None: what the source or the file itself says."""
    name: str | None = None
    """None: the source's own file name."""
    sha256: str | None = None
    mirrors: tuple[str, ...] = ()
    """The same file elsewhere."""
    asked_by: int | None = None
    asked_in: int | None = None
    channel_id: int | None = None
    locale: str | None = None
    held: bool = False
    """It stays disabled until somebody enables it."""
    allow_pickle_with_sha256: bool = False
    """For entries of the catalogue alone: a pickle of exactly `sha256` passes and is stored as safetensors."""
    beside_url: str | None = None
    beside_sha256: str | None = None
    """For entries of the catalogue alone: a small file that is put beside the model under its name."""


@dataclass(frozen=True, slots=True)
class Download:
    id: str
    """Ten of a-z and 0-9: fits a custom_id."""
    wish: DownloadWish
    state: DownloadState
    filename: str | None = None
    received_bytes: int = 0
    total_bytes: int | None = None
    rate_bytes_s: float = 0.0
    eta_s: float | None = None
    problem: str | None = None
    """Of a failed one: the key of a UserFacingError; its sentence is `error.<problem>`."""
    problem_values: Mapping[str, object] = field(default_factory=dict[str, object])
    file_ids: tuple[str, ...] = ()
    """Of what came into the library: several for an archive."""

    @property
    def file_id(self) -> str | None:
        """LibraryFile.id once done."""
        return self.file_ids[0] if self.file_ids else None

    @property
    def ended(self) -> bool:
        return self.state in ENDED
