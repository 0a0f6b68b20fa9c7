"""What happens to decoded pictures before they are saved."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from gpu_worker.engine.calls import Call, Picture, RestoreCall
from gpu_worker.protocol.specs import FaceRestore

__all__ = ["restored_faces"]


def restored_faces(pictures: list[Picture], wish: FaceRestore | None) -> Generator[Call, Any, list[Picture]]:
    """Before colour correction and overlay, as in A1111 (behaviours §21)."""
    if wish is None or wish.visibility == 0:
        return pictures
    return (yield RestoreCall(pictures, wish))
