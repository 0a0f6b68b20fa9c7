"""How much room a model takes on the disk."""

from __future__ import annotations

from pathlib import Path

from gpu_worker.language.listing import folder_bytes

__all__ = ["file_bytes"]


def file_bytes(path: Path) -> int:
    """Of a file, or of everything below a diffusers folder; what cannot be read counts nothing."""
    try:
        return folder_bytes(path) if path.is_dir() else path.stat().st_size
    except OSError:
        return 0
