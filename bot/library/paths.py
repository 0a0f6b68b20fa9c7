"""Ids of model files, and names that every file system and every prompt can carry."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

from gpu_worker.language.layouts import PICKLE_SUFFIXES

__all__ = ["MODEL_SUFFIXES", "file_id", "numbered", "safe_stem", "split_name"]

MODEL_SUFFIXES = PICKLE_SUFFIXES | {".safetensors", ".onnx"}
STEM_BYTES_MAX = 120
_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_CHARS = 10
_BAD = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def file_id(path: Path, models_dir: Path) -> str:
    """Ten of a-z and 0-9. Below our own folder the place in it counts, so that the whole data folder may move."""
    place = path.relative_to(models_dir).as_posix() if path.is_relative_to(models_dir) else f"/{path.as_posix()}"
    number = int.from_bytes(hashlib.sha256(place.encode("utf-8", "surrogatepass")).digest()[:16], "big")
    digits: list[str] = []
    for _ in range(_ID_CHARS):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)


def split_name(name: str, fallback: str) -> tuple[str, str]:
    """A stem that `safe_stem` has made, and a suffix of a model file; where `name` has none, that of `fallback`."""
    suffix = Path(name).suffix.lower()
    if suffix in MODEL_SUFFIXES:
        return safe_stem(name[: -len(suffix)]), suffix
    own = Path(fallback).suffix.lower()
    return safe_stem(name), own if own in MODEL_SUFFIXES else ".safetensors"


def safe_stem(name: str) -> str:
    """Never empty, never hidden, never a folder, at most STEM_BYTES_MAX bytes."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "ignore").decode())
    text = " ".join(_BAD.sub("_", text).split()).strip(" .")
    text = text.encode()[:STEM_BYTES_MAX].decode("utf-8", "ignore").rstrip(" .")
    if _RESERVED.fullmatch(text.partition(".")[0]):
        text = f"_{text}"
    return text or "model"


def numbered(stem: str, number: int) -> str:
    return stem if number < 2 else f"{stem} {number}"
