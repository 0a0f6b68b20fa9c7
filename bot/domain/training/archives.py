"""What of a zip becomes part of a data set: decided from its list of entries alone, before anything is unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bot.domain.training.names import check_class_tokens
from bot.errors import UserFacingError
from gpu_worker.language.training.folders import FolderName, read_folder_name

__all__ = [
    "CAPTION_BYTES_MAX", "ENTRIES_MAX", "PICTURE_SUFFIXES", "TOTAL_BYTES_MAX", "Entry", "Left", "Plan", "Planned",
    "as_meant", "plan_archive",
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
_REPEATS = re.compile(r"[+-]?\d+_")
"""How a folder begins that was meant to have repeats."""


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
    """What is not taken, or not as it says: of a folder that has no repeats after all it is its name."""


def as_meant(name: str) -> str:
    """A name that its list does not call UTF-8: programs of macOS and Linux write that and do not say so."""
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


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
    texts = [entry.name for entry in good if _suffix(entry) in CAPTION_SUFFIXES]
    captions = _Captions(texts, (entry.name for entry in pictures))
    planned = [_planned(entry, captions) for entry in pictures]
    used = {one.caption for one in planned}
    left = [Left(name, why) for name, why in refused.items()]
    left += [Left(name, "caption_alone") for name in dict.fromkeys(texts) if name not in used]
    if not planned:
        # Of archives that hold nothing else it says what they are.
        if any(why == "bomb" for why in refused.values()):
            raise UserFacingError("dataset_zip_bomb")
        if refused and all(why == "encrypted" for why in refused.values()):
            raise UserFacingError("dataset_zip_encrypted")
        raise UserFacingError("dataset_zip_captions" if texts else "dataset_zip_empty")
    left += [Left(name, "repeats") for name in dict.fromkeys(map(_odd, planned)) if name is not None]
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


class _Captions:
    """Which text is whose."""

    def __init__(self, texts: Iterable[str], pictures: Iterable[str]) -> None:
        own = set(pictures)
        self._texts = {name: name for name in texts}
        self._stems = {_stem(name) for name in own}
        # On the systems where most of them are written case is no difference; elsewhere it may be another picture's.
        own |= self._stems
        self._folded = {name.casefold(): name for name in self._texts if _stem(name) not in own}

    def of(self, picture: str) -> str | None:
        # kohya takes the picture's stem; other tools write `a.png.txt`, unless that is of a picture `a.png.png`.
        stems = [_stem(picture), *([picture] if picture not in self._stems else [])]
        names = [f"{stem}{suffix}" for suffix in CAPTION_SUFFIXES for stem in stems]
        for look in (self._texts.get, self._folded_name):
            for name in names:
                if (found := look(name)) is not None:
                    return found
        return None

    def _folded_name(self, name: str) -> str | None:
        return self._folded.get(name.casefold())


def _stem(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def _planned(entry: Entry, captions: _Captions) -> Planned:
    folders = PurePosixPath(entry.name).parts[:-1]
    folder = next((found for part in reversed(folders) if (found := _folder(part)) is not None), None)
    is_reg = any(part.casefold() in _REG for part in folders)
    return Planned(entry.name, folder, is_reg, captions.of(entry.name))


def _odd(one: Planned) -> str | None:
    """The folder that looks as if it had repeats, but has none that count, or class tokens that no folder can have."""
    if one.folder is not None:
        return None
    return next((part for part in reversed(PurePosixPath(one.entry).parts[:-1]) if _REPEATS.match(part)), None)


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
