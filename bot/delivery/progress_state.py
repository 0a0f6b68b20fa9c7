"""What is known of a running job, newest first: a plain record that the progress editor turns into edits."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.protocol.messages import TrainingTold

__all__ = ["ProgressState"]


@dataclass(slots=True)
class ProgressState:
    phase: str = "starting"
    step: int = 0
    of: int = 0
    eta_s: float | None = None
    preview: bytes | None = None
    cancelling: bool = False
    training: TrainingTold | None = None
