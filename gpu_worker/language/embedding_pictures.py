"""Whether a picture carries a textual inversion (behaviours §4), told by its chunks, without decoding it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["holds_embedding"]

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KEY = b"sd-ti-embedding\0"
CHUNK_LIMIT = 4096


def holds_embedding(path: Path) -> bool:
    """A PNG that says so, or a lossless WebP, whose pixels may hide one. Never raises."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
            if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
                return start[12:16] == b"VP8L"
            if not start.startswith(_PNG):
                return False
            at, size_bytes = 8, path.stat().st_size
            for _ in range(CHUNK_LIMIT):
                file.seek(at)
                head = file.read(8)
                if len(head) < 8 or at > size_bytes:
                    return False
                if head[4:] in _TEXTS and file.read(len(_KEY)) == _KEY:
                    return True
                at += 12 + int.from_bytes(head[:4], "big")
    except OSError:
        pass
    return False
