"""Pictures that differ, as a data set needs them, and zips of them."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Mapping

from PIL import Image

__all__ = ["archive", "painting"]


def painting(seed: int, size: tuple[int, int] = (96, 96), kind: str = "PNG", **options: object) -> bytes:
    """Coarse colours of chance: the same for the same seed at any size, and unlike those of another."""
    dice = random.Random(seed)
    coarse = Image.new("RGB", (9, 8))
    coarse.putdata([tuple(dice.randrange(256) for _ in range(3)) for _ in range(72)])
    out = io.BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(out, kind, **options)
    return out.getvalue()


def archive(files: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return out.getvalue()
