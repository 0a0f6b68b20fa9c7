"""Pictures that admins or downloads gave for a model: made small, kept in a folder of their own."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import warnings
from pathlib import Path

from bot.errors import UserFacingError
from gpu_worker.language.sidecars import PREVIEW_LIMIT_BYTES

__all__ = ["Previews"]

SIDE_PX = 768
PIXELS_MAX = 64_000_000


class Previews:
    """All methods block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str | None) -> Path | None:
        return self._folder / Path(name).name if name else None

    def keep(self, id_: str, data: bytes) -> str:
        """The name that `path` takes. Raises UserFacingError `preview_unreadable`, OSError."""
        small = _small(data)
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{id_}-{secrets.token_hex(4)}.webp"
        part = self._folder / f".{name}.part"
        try:
            with part.open("wb") as file:
                file.write(small)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._folder / name)
        finally:
            part.unlink(missing_ok=True)
        return name

    def drop(self, name: str | None) -> None:
        path = self.path(name)
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _small(data: bytes) -> bytes:
    from PIL import Image, ImageOps

    try:
        if len(data) > PREVIEW_LIMIT_BYTES:
            raise ValueError("too many bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP", "GIF")) as picture:
                if picture.width * picture.height > PIXELS_MAX:
                    raise ValueError("too many pixels")
                picture.draft("RGB", (SIDE_PX, SIDE_PX))
                upright = ImageOps.exif_transpose(picture).convert("RGB")
                upright.thumbnail((SIDE_PX, SIDE_PX))
                out = io.BytesIO()
                upright.save(out, "WEBP", quality=85)
    except Exception as error:  # Pillow raises whatever damaged bytes lead it to
        raise UserFacingError("preview_unreadable") from error
    return out.getvalue()
