"""How much room a model takes on the disk."""

from __future__ import annotations

from pathlib import Path

__all__ = ["file_bytes"]


def file_bytes(path: Path) -> int:
    """Of a file, or of everything below a diffusers folder; what cannot be read counts nothing."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        return sum(part.stat().st_size for part in path.rglob("*") if part.is_file())
    except OSError:
        return 0
