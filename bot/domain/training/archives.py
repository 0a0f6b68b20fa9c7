"""What of a zip becomes part of a data set: decided from its list of entries alone, before anything is unpacked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bot.domain.training.names import check_class_tokens
from bot.errors import UserFacingError
from gpu_worker.language.training.folders import FolderName, read_folder_name

__all__ = [
    "CAPTION_BYTES_MAX", "ENTRIES_MAX", "PICTURE_SUFFIXES", "TOTAL_BYTES_MAX", "Entry", "Left", "Plan", "Planned",
    "plan_archive",
]  # fmt: skip

ENTRIES_MAX = 10_000
TOTAL_BYTES_MAX = 4 * 2**30
"""Of all pictures together, as they declare it."""
CAPTION_BYTES_MAX = 64 * 1024
RATIO_MAX = 100
"""Pictures are packed already; what shrinks to a hundredth is none, or is made to fill a disk."""
SMALL_BYTES = 1 << 20
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif"})
CAPTION_SUFFIXES = (".txt", ".caption")
"""Where a picture has both, the first one counts: the guide's."""
_ARCHIVES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})
_CLUTTER = re.compile(r"(?i)(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$)")
"""What systems put beside pictures; nobody asks where it went."""
_REG = frozenset({"reg", "regs", "reg_data", "reg_images", "regularization", "regularisation"})
_DRIVE = re.compile(r"^[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    size: int
    packed: int
    encrypted: bool = False
    link: bool = False
    readable: bool = True
    """Packed in one of the two usual ways."""


@dataclass(frozen=True, slots=True)
class Planned:
    entry: str
    folder: FolderName | None
    """None: whichever the data set has for pictures without one."""
    is_reg: bool
    caption: str | None
    """Entry that holds it."""


@dataclass(frozen=True, slots=True)
class Left:
    name: str
    why: str
    """Key of the sentence `dataset.left.…`."""


@dataclass(frozen=True, slots=True)
class Plan:
    pictures: tuple[Planned, ...]
    left: tuple[Left, ...]


def plan_archive(entries: Sequence[Entry], picture_bytes_max: int) -> Plan:
    """Raises UserFacingError: `dataset_zip_many`, `dataset_zip_large`, `dataset_zip_bomb`, `dataset_zip_empty`."""
    if len(entries) > ENTRIES_MAX:
        raise UserFacingError("dataset_zip_many", most=ENTRIES_MAX)
    seen = [entry for entry in entries if not entry.name.endswith("/") and not _CLUTTER.search(entry.name)]
    refused = {entry.name: why for entry in seen if (why := _refusal(entry, picture_bytes_max)) is not None}
    good = [entry for entry in seen if entry.name not in refused]
    pictures = [entry for entry in good if _suffix(entry) in PICTURE_SUFFIXES]
    if sum(entry.size for entry in pictures) > TOTAL_BYTES_MAX:
        raise UserFacingError("dataset_zip_large", limit_gb=TOTAL_BYTES_MAX >> 30)
    captions = {entry.name: entry for entry in good if _suffix(entry) in CAPTION_SUFFIXES}
    planned = [_planned(entry, captions) for entry in pictures]
    used = {one.caption for one in planned}
    left = [Left(name, why) for name, why in refused.items()]
    left += [Left(name, "caption_alone") for name in captions if name not in used]
    if not planned:
        # Of archives that hold nothing else it says what they are.
        if any(why == "bomb" for why in refused.values()):
            raise UserFacingError("dataset_zip_bomb")
        if refused and all(why == "encrypted" for why in refused.values()):
            raise UserFacingError("dataset_zip_encrypted")
        raise UserFacingError("dataset_zip_captions" if captions else "dataset_zip_empty")
    return Plan(tuple(planned), tuple(left))


def _refusal(entry: Entry, picture_bytes_max: int) -> str | None:
    parts = entry.name.split("/")
    if "\\" in entry.name or entry.name.startswith("/") or ".." in parts or _DRIVE.match(entry.name):
        return "path"
    if entry.encrypted:
        return "encrypted"
    if entry.link:
        return "link"
    suffix = _suffix(entry)
    if suffix in _ARCHIVES:
        return "nested"
    if suffix not in PICTURE_SUFFIXES and suffix not in CAPTION_SUFFIXES:
        return "type"
    if not entry.readable:
        return "packed"
    if entry.size > SMALL_BYTES and entry.size > RATIO_MAX * entry.packed:
        return "bomb"
    if entry.size > (picture_bytes_max if suffix in PICTURE_SUFFIXES else CAPTION_BYTES_MAX):
        return "large"
    return None


def _planned(entry: Entry, captions: dict[str, Entry]) -> Planned:
    path = PurePosixPath(entry.name)
    folder = next((found for part in reversed(path.parts[:-1]) if (found := _folder(part)) is not None), None)
    is_reg = any(part.casefold() in _REG for part in path.parts[:-1])
    stem = entry.name.removesuffix(path.suffix)
    # kohya takes the picture's stem; other tools write `a.png.txt`.
    names = [f"{base}{suffix}" for suffix in CAPTION_SUFFIXES for base in (stem, entry.name)]
    return Planned(entry.name, folder, is_reg, next((name for name in names if name in captions), None))


def _folder(part: str) -> FolderName | None:
    found = read_folder_name(part)
    if not found.used or found.repeats > 10_000:
        return None
    try:
        return FolderName(found.repeats, check_class_tokens(found.class_tokens))
    except UserFacingError:
        return None


def _suffix(entry: Entry) -> str:
    return PurePosixPath(entry.name).suffix.casefold()
