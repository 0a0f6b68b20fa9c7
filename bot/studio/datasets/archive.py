"""A zip of pictures: looked at within bounds, read one picture at a time; nothing of it is unpacked onto the disk."""

from __future__ import annotations

import asyncio
import stat
import zipfile
from pathlib import Path
from types import TracebackType

from bot.domain.text import clean
from bot.domain.training.archives import CAPTION_BYTES_MAX, Entry, Plan, as_meant, plan_archive
from bot.downloads.archives import DAMAGE, LIST_BYTES_MAX, list_bytes
from bot.errors import UserFacingError
from bot.studio.datasets.inspecting import UnfitError

__all__ = ["Archive"]

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_UTF8 = 0x800


class Archive:
    """Opened by `async with`; `plan` is what it holds."""

    def __init__(self, path: Path, picture_bytes_max: int) -> None:
        self._path = path
        self._most = picture_bytes_max
        self._file: zipfile.ZipFile
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self.plan: Plan

    async def __aenter__(self) -> Archive:
        """Raises UserFacingError: `dataset_zip_broken`, those of `plan_archive`."""
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._file.close)

    async def read(self, name: str) -> bytes:
        """Raises UnfitError (`packed`) for what does not come out as its list says."""
        return await asyncio.to_thread(self._read, name, self._most)

    async def caption(self, name: str) -> str:
        """Its first line, as kohya reads it. Raises UnfitError: `packed`, `caption_text`."""
        data = await asyncio.to_thread(self._read, name, CAPTION_BYTES_MAX)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnfitError("caption_text") from error
        lines = clean(text).text.split("\n")
        return " ".join(lines[0].split())

    def _open(self) -> None:
        # How long the list is stands at the end of the file: a list of millions would fill the memory by itself.
        if not 0 <= list_bytes(self._path) <= LIST_BYTES_MAX:
            raise UserFacingError("dataset_zip_broken")
        try:
            self._file = zipfile.ZipFile(self._path)
        except DAMAGE as error:
            raise UserFacingError("dataset_zip_broken") from error
        try:
            self._infos = {_name(one): one for one in self._file.infolist()}
            self.plan = plan_archive([_entry(one) for one in self._file.infolist()], self._most)
        except BaseException:
            self._file.close()
            raise

    def _read(self, name: str, most: int) -> bytes:
        """No further than the entry declares, which the plan has judged."""
        try:
            info = self._infos[name]
            with self._file.open(info) as packed:
                data = packed.read(min(info.file_size, most) + 1)
        except DAMAGE as error:
            raise UnfitError("packed") from error
        if len(data) != info.file_size:
            raise UnfitError("packed")
        return data


def _name(info: zipfile.ZipInfo) -> str:
    """As it is written: `filename` ends at a NUL, and has slashes where Windows reads backslashes."""
    return info.orig_filename if info.flag_bits & _UTF8 else as_meant(info.orig_filename)


def _entry(info: zipfile.ZipInfo) -> Entry:
    return Entry(
        name=_name(info),
        size=info.file_size,
        packed=info.compress_size,
        encrypted=bool(info.flag_bits & _ENCRYPTED),
        link=stat.S_ISLNK(info.external_attr >> 16),
        readable=info.compress_type in _METHODS,
    )
