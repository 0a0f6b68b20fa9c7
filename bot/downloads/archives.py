"""Zip archives: looked at within bounds, and only their safetensors files taken. All functions block.

The format's own lists are not trusted: how long the list of members is stands at the end of the file and is looked at
before that list is read; a member is unpacked no further than to the size that it declares.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from bot.downloads.answers import safe_name
from bot.downloads.trouble import FinalError, amount
from bot.errors import UserFacingError
from gpu_worker.language.layouts import PICKLE_SUFFIXES

__all__ = ["DAMAGE", "LIST_BYTES_MAX", "is_torch_archive", "list_bytes", "list_members", "unpack_models"]

LIST_BYTES_MAX = 4 << 20
MEMBERS_MAX = 2000
MODELS_MAX = 20
RATIO_MAX = 100
"""Weights do not shrink to a hundredth."""
SMALL_BYTES = 1 << 20
"""Whatever they shrink to."""
PIECE_BYTES = 4 << 20
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_TORCH = ("/data.pkl", "/constants.pkl")
DAMAGE = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, EOFError, RuntimeError, struct.error, LookupError,
)  # fmt: skip
"""What `zipfile` makes of an archive that is none, or is made to deceive."""


def list_members(path: Path) -> list[zipfile.ZipInfo]:
    """Raises UserFacingError `download_archive`, OSError."""
    if not 0 <= list_bytes(path) <= LIST_BYTES_MAX:
        raise UserFacingError("download_archive")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except DAMAGE as error:
        raise UserFacingError("download_archive") from error
    if len(members) > MEMBERS_MAX:
        raise UserFacingError("download_archive")
    return members


def is_torch_archive(members: Sequence[zipfile.ZipInfo]) -> bool:
    """What `torch.save` writes is a zip, too."""
    return any(f"/{member.filename}".endswith(_TORCH) for member in members)


def unpack_models(path: Path, folder: Path, limit_bytes: int, spare_bytes: int) -> list[Path]:
    """Each into a folder of its own below `folder`, so that no two names meet; what was there is removed.

    Raises UserFacingError: `download_archive`, `download_archive_empty`, `download_pickle`, `download_too_big`,
    `download_no_room`; OSError.
    """
    members = [member for member in list_members(path) if not member.is_dir() and not _is_link(member)]
    models = [member for member in members if member.filename.lower().endswith(".safetensors")]
    if not models:
        pickles = any(Path(member.filename).suffix.lower() in PICKLE_SUFFIXES for member in members)
        raise UserFacingError("download_pickle" if pickles else "download_archive_empty")
    total = sum(member.file_size for member in models)
    if len(models) > MODELS_MAX or any(not _is_plausible(member) for member in models):
        raise UserFacingError("download_archive")
    if total > limit_bytes:
        raise FinalError("download_too_big", size=amount(total), limit=amount(limit_bytes))
    free = shutil.disk_usage(path.parent).free
    if free < total + spare_bytes:
        raise FinalError("download_no_room", needed=amount(total + spare_bytes), free=amount(free))
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            return [_unpack(archive, member, folder / str(at)) for at, member in enumerate(models)]
    except DAMAGE as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserFacingError("download_archive") from error


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> Path:
    folder.mkdir(parents=True)
    target = folder / safe_name(member.filename)
    left = member.file_size
    with archive.open(member) as packed, target.open("xb") as file:
        while piece := packed.read(PIECE_BYTES):
            left -= len(piece)
            if left < 0:
                raise zipfile.BadZipFile("longer than it says")
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if left:
        raise zipfile.BadZipFile("shorter than it says")
    return target


def _is_plausible(member: zipfile.ZipInfo) -> bool:
    bomb = member.file_size > SMALL_BYTES and member.file_size > RATIO_MAX * member.compress_size
    return member.compress_type in _METHODS and not member.flag_bits & _ENCRYPTED and not bomb


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def list_bytes(path: Path) -> int:
    """How long the list of members is; -1 where there is none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(size - (1 << 16) - _END.size - _LOCATOR_64.size, 0)
        file.seek(start)
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            return -1
        listed = [int(_END.unpack_from(tail, at)[5]) % 0xFFFFFFFF]
        if at >= _LOCATOR_64.size and tail[at - _LOCATOR_64.size :].startswith(b"PK\x06\x07"):
            # Where the locator says, and where readers look that do not ask it.
            named = int(_LOCATOR_64.unpack_from(tail, at - _LOCATOR_64.size)[2])
            for place in (named, start + at - _LOCATOR_64.size - _END_64.size):
                if 0 <= place <= size - _END_64.size:
                    file.seek(place)
                    listed.append(int(_END_64.unpack(file.read(_END_64.size))[8]))
    return max(listed)
