"""What a fetched file is, told by its content alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpu_worker.protocol.messages import ModelKind

__all__ = ["Checked", "check_file"]


@dataclass(frozen=True, slots=True)
class Checked:
    kind: ModelKind | None
    family: str | None
    problem: str | None
    """Key of a UserFacingError; None: the file may become visible."""


def check_file(path: Path, kind: ModelKind | None) -> Checked:
    """`kind` is what it is wished to be. Blocks; never raises."""
    raise NotImplementedError
