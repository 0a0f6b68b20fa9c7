"""What can go wrong while drawing.

EngineError        the job failed, with the kind and the values that its sentence to the user shows
DrawingCancelled   `Hooks.cancelled` said so
"""

from __future__ import annotations

from typing import Any

from gpu_worker.protocol.messages import FailureKind

__all__ = ["DrawingCancelled", "EngineError"]


class EngineError(Exception):
    """`message` is for the log; `detail` holds plain values that the user's sentence for `kind` may show."""

    def __init__(
        self, kind: FailureKind, message: str, detail: dict[str, Any] | None = None, *, retryable: bool = False
    ) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind: FailureKind = kind
        self.message = message
        self.detail: dict[str, Any] = detail or {}
        self.retryable = retryable


class DrawingCancelled(Exception):  # noqa: N818 (an outcome, not an error)
    """The drawing was stopped between two steps because its owner cancelled it."""
