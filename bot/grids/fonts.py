"""Fonts for titles: what ships with the local Discord's library (Noto Sans: Latin, Greek, Cyrillic, Chinese, kana,
Arabic, Hebrew, Devanagari), then the system's DejaVu, then the one inside Pillow, which knows little more than ASCII.

A text is set in runs, each in the first font that has its signs. What no font has is written without its accents, or
else as the font's own empty box.
"""

from __future__ import annotations

import contextlib
import importlib.util
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import ImageFont

__all__ = ["Run", "Setting", "set_text"]

Font = ImageFont.FreeTypeFont

_BUNDLED = ("latin-v2.015", "sc-v2.004", "arabic-v2.012", "devanagari-v2.007", "hebrew-v3.001")
_SYSTEM = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf", "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf", "C:/Windows/Fonts/malgun.ttf", "C:/Windows/Fonts/arial.ttf",
)  # fmt: skip
SMALL_PX = 24
"""Below this, letters fitted to pixels stand on whole pixels too; placed between them they close up the spaces."""
_NO_SIGN = "\U0010fffe"
"""No font has it, so it shows the empty box."""
_PLAINER = {"—": "-", "–": "-", "×": "x", "→": "->", "…": "...", "“": '"', "”": '"', "’": "'", "‘": "'"}


@dataclass(frozen=True, slots=True)
class Run:
    text: str
    font: Font


@dataclass(frozen=True, slots=True)
class Setting:
    """One line, ready to be drawn; `width` in pixels."""

    runs: tuple[Run, ...]
    width: float


def set_text(text: str, size_px: int) -> Setting:
    runs = [Run(part, _font(at, size_px, size_px < SMALL_PX and part.isascii())) for at, part in _parts(text)]
    return Setting(tuple(runs), sum(run.font.getlength(run.text) for run in runs))


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Stretches of one font, by its number."""
    now, gathered = -1, ""
    for sign in _writable(text):
        # Spaces and what joins letters stay with what stands before them.
        at = now if now >= 0 and (sign.isspace() or unicodedata.combining(sign)) else _which(sign)
        if at != now and gathered:
            yield now, gathered
            gathered = ""
        now, gathered = at, gathered + sign
    if gathered:
        yield now, gathered


def _writable(text: str) -> str:
    """With what no font has made plainer, if that can be."""
    return "".join(sign if _has_any(sign) else _plainer(sign) for sign in text)


def _plainer(sign: str) -> str:
    bare = "".join(part for part in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(part))
    plainer = _PLAINER.get(sign, bare)
    return plainer if plainer and all(map(_has_any, plainer)) else sign


def _has_any(sign: str) -> bool:
    return sign.isspace() or any(_has(at, sign) for at in range(len(_files())))


def _which(sign: str) -> int:
    return next((at for at in range(len(_files())) if _has(at, sign)), 0)


@lru_cache(maxsize=8192)
def _has(at: int, sign: str) -> bool:
    drawn, missing = (_shape(at, each) for each in (sign, _NO_SIGN))
    return drawn != missing


def _shape(at: int, sign: str) -> tuple[object, bytes]:
    mask: Any = _font(at, 16).getmask(sign)
    return mask.size, bytes(mask)


@lru_cache(maxsize=1)
def _files() -> Sequence[Path | None]:
    """Those that are there, the best first; None is Pillow's own."""
    found: list[Path] = []
    package = importlib.util.find_spec("simcord")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent / "preview" / "static" / "fonts"
        found += [file for name in _BUNDLED if (file := folder / f"noto-sans-{name}.ttf").is_file()]
    found += [file for name in _SYSTEM if (file := Path(name)).is_file()]
    return [*(file for file in found if _opens(file)), None]


def _opens(file: Path) -> bool:
    try:
        ImageFont.truetype(file, 16)
    except OSError:
        return False
    return True


@lru_cache(maxsize=256)
def _font(at: int, size_px: int, whole_pixels: bool = False) -> Font:
    """With `whole_pixels` for what needs no shaping: each letter as wide as it is drawn."""
    file = _files()[at]
    if file is None:
        found = ImageFont.load_default(size_px)
        assert isinstance(found, ImageFont.FreeTypeFont), "Pillow comes with FreeType"
        return found
    font = ImageFont.truetype(file, size_px, layout_engine=ImageFont.Layout.BASIC if whole_pixels else None)
    with contextlib.suppress(OSError):  # it has one weight
        font.set_variation_by_name("Regular")
    return font
