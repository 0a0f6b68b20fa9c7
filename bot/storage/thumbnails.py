"""Small copies of pictures on disk, made when they are first looked at; all together they stay below a bound."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import secrets
import threading
import time
from collections.abc import Collection
from pathlib import Path

from bot.domain.ids import ImageId

__all__ = ["SIDE_PX", "Thumbnails", "small_copy"]

log = logging.getLogger(__name__)

SIDE_PX = 384
LEFT_AFTER = 0.8
"""Of the bound, after the least recently seen were thrown away."""
SEEN_AGAIN_S = 24 * 3600.0
"""How old a mark of use may be before it is renewed: a look must not cost a write each time."""


class Thumbnails:
    """Blocking methods end in `_now` and are for threads; they may run side by side."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit = limit_bytes
        self._total: int | None = None
        self._lock = threading.Lock()

    def get_now(self, image_id: ImageId, original: Path) -> bytes | None:
        """A WebP of at most 384 pixels a side; None where there is neither a copy nor a readable original."""
        path = self._path(image_id)
        try:
            data = path.read_bytes()
            if time.time() - path.stat().st_mtime > SEEN_AGAIN_S:
                os.utime(path)
            return data
        except OSError:
            pass
        data = small_copy(original)
        if data is not None:
            self._keep(path, data)
        return data

    async def discard(self, images: Collection[ImageId]) -> None:
        await asyncio.to_thread(self._discard, list(images))

    def _path(self, image_id: ImageId) -> Path:
        return self._folder / image_id[:2] / f"{image_id}.webp"

    def _keep(self, path: Path, data: bytes) -> None:
        """A full disk only costs the copy."""
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            log.info("a thumbnail could not be kept: %s", error)
            return
        with self._lock:
            if self._total is None:
                self._total = sum(size for _, size, _ in self._listed())
            else:
                self._total += len(data)
            if self._total > self._limit:
                self._make_room()

    def _make_room(self) -> None:
        there = sorted(self._listed())
        total = sum(size for _, size, _ in there)
        for _, size, path in there:
            if total <= self._limit * LEFT_AFTER:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._total = total

    def _listed(self) -> list[tuple[float, int, Path]]:
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*/*"):
            try:
                stat = path.stat()
            except OSError:  # thrown away meanwhile
                continue
            found.append((stat.st_mtime, stat.st_size, path))
        return found

    def _discard(self, images: list[ImageId]) -> None:
        for image_id in images:
            path = self._path(image_id)
            try:
                size = path.stat().st_size
                path.unlink()
            except OSError:
                continue
            with self._lock:
                if self._total is not None:
                    self._total -= size


def small_copy(original: Path) -> bytes | None:
    """A WebP of at most 384 pixels a side, upright; None for what cannot be read. Blocks."""
    from PIL import Image

    from bot.domain.flat import flattened

    try:
        with Image.open(original, formats=("PNG", "WEBP", "JPEG", "GIF")) as picture:
            picture.draft("RGB", (SIDE_PX, SIDE_PX))
            small = flattened(picture)
            small.thumbnail((SIDE_PX, SIDE_PX), reducing_gap=2.0)
            out = io.BytesIO()
            small.save(out, "WEBP", quality=82, method=3)
            return out.getvalue()
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever Pillow makes of a damaged file: there is no picture then
        log.info("the picture %s cannot be shown small: %s", original.name, error)
        return None
