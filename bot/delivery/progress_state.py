"""What is known of a running job, newest first: a plain record that the progress editor turns into edits."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ProgressState"]


@dataclass(slots=True)
class ProgressState:
    phase: str = "starting"
    step: int = 0
    of: int = 0
    eta_s: float | None = None
    preview: bytes | None = None
    cancelling: bool = False
