"""Pictures that come from files and go into files."""

from __future__ import annotations

import hashlib
import io
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from gpu_worker.language.infotext import build_infotext, parse_generation_parameters, parse_infotext
from gpu_worker.language.parameters import Note, drawing_from_infotext
from gpu_worker.protocol.specs import ImageRef
from gpu_worker.shell.errors import BadInputError

__all__ = ["FORMATS", "encoded", "input_picture", "numbered", "picture_size", "read_infotext_option"]

FORMATS: dict[str, Literal["PNG", "JPEG", "WEBP"]] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_TEXT_LIMIT_CHARS = 4096
"""No file's name is longer; what is, is the text itself."""


def input_picture(option: str, path: Path) -> dict[str, Any]:
    """An `ImageRef` to a file. Raises BadInputError."""
    data = _bytes(option, path)
    mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    digest = hashlib.sha256(data).hexdigest()
    return ImageRef(ref=str(path.absolute()), sha256=digest, mime=mime, size_bytes=max(1, len(data))).model_dump()


def picture_size(option: str, path: Path) -> tuple[int, int]:
    """As a person sees it, upright. Raises BadInputError."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            return (picture.height, picture.width) if turned else picture.size
    except Exception as error:  # whatever Pillow makes of foreign bytes: it is no picture then
        raise BadInputError(f"{option}: {path} is no picture; give a PNG, JPEG or WebP.") from error


def read_infotext_option(given: str) -> tuple[dict[str, Any], list[Note]]:
    """What a picture, a text file or a text says, in the fields of a spec. Raises BadInputError."""
    path = Path(given) if len(given) < _TEXT_LIMIT_CHARS and "\n" not in given else None
    text = given
    if path is not None and path.is_file():
        from gpu_worker.engine.images.foreign import read_parameters

        data = _bytes("--infotext", path)
        found = read_parameters(data)
        if found is not None:
            text = build_infotext(found.prompt, found.negative_prompt, found.fields)
        else:
            text = data[:1_000_000].decode("utf-8", "replace")
            if "\0" in text:
                raise BadInputError(f"{path} says nothing about how it was made; give a picture with its parameters.")
    if "Steps" not in parse_infotext(text).fields:
        raise BadInputError(f"--infotext: {given[:80]} is neither a file nor a text with parameters.")
    values, notes = drawing_from_infotext(parse_generation_parameters(text), "")
    # Control pictures are in no text, and there is no option that gives one here.
    units: list[dict[str, Any]] = values.pop("control", [])
    return values, [*notes, *(Note("picture_needed", f"ControlNet {at}", u["model"]) for at, u in enumerate(units))]


def numbered(path: Path, count: int) -> Sequence[Path]:
    return [path if count == 1 else path.with_stem(f"{path.stem}-{index}") for index in range(1, count + 1)]


def encoded(png: bytes, infotext: str, suffix: str) -> bytes:
    """As the file's name says; a PNG stays as the engine made it."""
    kind = FORMATS[suffix.lower()]
    if kind == "PNG":
        return png
    import numpy as np
    from PIL import Image

    from gpu_worker.engine.images.files import picture_bytes

    with Image.open(io.BytesIO(png)) as picture:
        return picture_bytes(np.asarray(picture.convert("RGB")), infotext, kind)


def _bytes(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"{option}: {path} cannot be read ({error.strerror}); name a picture that is there."
        ) from error
