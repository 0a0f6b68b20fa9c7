"""Families and base models by what people write: metadata, Civitai's words, and at the very last the file's name."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["BASES", "family_of_base", "guess_family", "stated_base"]

BASES = {"sd1": "SD 1.5", "sd2": "SD 2.x", "sdxl": "SDXL 1.0", "sdxl_refiner": "SDXL refiner"}
"""What people call a family whose file does not say it better."""

_WORDS: tuple[tuple[str, str], ...] = (
    ("sdxl_refiner", r"sd_?xl[ _.-]*refiner|refiner[ _.-]*(?:1|v1)"),
    ("sdxl", r"sd[ _.-]?xl|stable[ _-]diffusion[ _-]xl|xl|pony|illustrious|noob(?:ai)?"),
    ("sd2", r"sd[ _.-]?v?2(?:[._-]?[01])?|stable[ _-]diffusion[ _-]v?2|v2[._-]1|768[ _-]?v|sd21"),
    ("sd1", r"sd[ _.-]?v?1(?:[._-]?[2345])?|sd15|stable[ _-]diffusion[ _-]v?1|v1[._-][2345]"),
)
_PATTERNS = [(family, re.compile(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])", re.IGNORECASE)) for family, words in _WORDS]
_ENDING = re.compile(r"[a-z]XL(?![a-z])|(?<=[a-z])(?:Pony|XL)(?=[A-Z_ .-]|$)")


def family_of_base(base: str) -> str | None:
    """Of a base model as metadata or Civitai name it, e.g. `SD 1.5`, `sdxl_base_v1-0`, `Pony`."""
    return next((family for family, pattern in _PATTERNS if pattern.search(base)), None)


def guess_family(name: str) -> str | None:
    """Only from a file's name: a guess, and to be shown as one."""
    return family_of_base(name.replace("_", " ")) or ("sdxl" if _ENDING.search(name) else None)


def stated_base(metadata: Mapping[str, str]) -> str | None:
    """What the header says it was made for."""
    for key in ("modelspec.architecture", "ss_base_model_version"):
        if metadata.get(key):
            return metadata[key]
    return {"True": "sd_v2", "False": None}.get(metadata.get("ss_v2", ""))
