"""The way of one download: its host asked, the file fetched, looked into, and taken into the library.

Every station can be gone through again after a crash: what was fetched is there, and what came into the library is
recognised.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from bot.domain.mentions import spoken
from bot.downloads.answers import name_of_url, safe_name
from bot.downloads.archives import unpack_models
from bot.downloads.beside import fetch_beside, put_beside
from bot.downloads.check import QUARANTINED, Checked, container_of
from bot.downloads.fetch import FetchLimits, FetchProgress, fetch
from bot.downloads.files import holds_files, same_content, sha256_of, write_sidecar
from bot.downloads.inspect import inspect, to_safetensors
from bot.downloads.links import Link, parse_links, resolve
from bot.downloads.quarantine import Quarantine
from bot.downloads.records import Download, DownloadState, DownloadWish
from bot.downloads.sources import Source
from bot.downloads.trouble import FinalError, PassingError, amount
from bot.downloads.web import Web
from bot.errors import UserFacingError
from bot.library import Arrival, Library, LibraryFile
from bot.library.paths import split_name
from gpu_worker.language.layouts import PICKLE_SUFFIXES

__all__ = ["Course", "Work"]

log = logging.getLogger(__name__)

ASK_TRIES = 4
ASK_WAIT_S = 2.0
PREVIEW_BYTES_MAX = 8 << 20
_UNPACKED = "unpacked"


class Course(Protocol):
    """What a download on its way says of itself, and where its file is kept meanwhile."""

    download: Download
    source: Source | None
    folder: Path
    created_at: float
    begun_at: float
    """When this process began with it: later than `created_at` after a restart."""

    async def enter(self, state: DownloadState) -> None:
        """Stored when it returns. Raises StorageFullError."""
        ...

    def progressed(self, progress: FetchProgress) -> None: ...

    async def brought(self, file: LibraryFile) -> None:
        """This came into the library. Stored when it returns. Raises StorageFullError."""
        ...

    def settling(self) -> contextlib.AbstractContextManager[None]:
        """Within it nobody may cancel any more."""
        ...


class Work:
    def __init__(
        self,
        library: Library,
        web: Web,
        quarantine: Quarantine,
        limits: FetchLimits,
        allowance: Callable[[DownloadWish], Awaitable[int | None]],
        *,
        hold: Callable[[DownloadWish, str], Awaitable[None]] | None = None,
        ask_wait_s: float = ASK_WAIT_S,
    ) -> None:
        self._library = library
        self._web = web
        self._quarantine = quarantine
        self._limits = limits
        self._allowance = allowance
        self._hold = hold
        self._ask_wait_s = ask_wait_s

    async def run(self, course: Course, here: Path | None) -> tuple[LibraryFile, ...]:
        """`here` is a file that needs no fetching. Returns what came into the library. Raises UserFacingError,
        StorageFullError, OSError."""
        wish = course.download.wish
        if course.download.state == "checking":
            # A crash came after the fetching; what came into the library then, it may not know itself yet.
            await self._library.refresh()
            done = await self._adopted_before(course)
            if done is not None:
                return (done,)
        if here is None:
            if course.source is None:
                await course.enter("resolving")
                course.source = await self._ask(wish)
            self._check_promise(wish, course.source)
            await course.enter("downloading")
            path = await self._fetch(course, course.source)
        else:
            path = here
            if wish.sha256 is not None and await asyncio.to_thread(sha256_of, path) != wish.sha256:
                raise UserFacingError("download_hash_file")
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        course.download = dataclasses.replace(
            course.download, filename=path.name, received_bytes=size_bytes, total_bytes=size_bytes
        )
        await course.enter("checking")
        try:
            return await self._take_in(course, path)
        except UserFacingError as error:
            if error.key in QUARANTINED:
                log.warning("download %s refused (%s): into quarantine", course.download.id, error.key)
                await asyncio.to_thread(self._quarantine.take, path, course.download.id, error.key, wish.link)
            raise

    # --- its host -----------------------------------------------------------------------------------------------------

    async def _ask(self, wish: DownloadWish) -> Source:
        for tried in range(1, ASK_TRIES + 1):
            try:
                source = await resolve(Link(wish.link), self._web)
                break
            except PassingError as error:
                if tried == ASK_TRIES:
                    raise
                await asyncio.sleep(error.retry_after_s or self._ask_wait_s * 2**tried)
        else:
            raise AssertionError("the last try returns or raises")
        if wish.sha256 is not None and source.sha256 not in (None, wish.sha256):
            raise UserFacingError("download_other_hash")
        mirrors = [url for mirror in wish.mirrors for url in (await resolve(parse_links(mirror)[0], self._web)).urls]
        return dataclasses.replace(
            source,
            urls=(*source.urls, *mirrors),
            sha256=wish.sha256 or source.sha256,
            kind=wish.kind or source.kind,
        )

    def _check_promise(self, wish: DownloadWish, source: Source) -> None:
        """Refuses what its name or hash already tells, before gigabytes are fetched. Raises UserFacingError."""
        if source.sha256 is not None:
            # Of another server's files nobody is told.
            owners = {None, wish.asked_in}
            alike = (file for file in self._library.files() if file.sha256 == source.sha256 and file.problem is None)
            there = next((file for file in alike if file.added_in in owners), None)
            if there is not None:
                raise UserFacingError("download_there", name=spoken(there.name))
        name = source.filename or name_of_url(source.urls[0]) or ""
        if Path(name).suffix.lower() in PICKLE_SUFFIXES and not _may_be_pickle(wish):
            raise UserFacingError("download_pickle")

    async def _fetch(self, course: Course, source: Source) -> Path:
        limits, allowance = self._limits, await self._allowance(course.download.wish)
        if allowance is not None and allowance < limits.size_bytes:
            limits = dataclasses.replace(limits, size_bytes=max(allowance, 0))

        async def sized(size_bytes: int) -> None:
            # First said, then asked: of two that learn their sizes at once, one at least sees the other's.
            course.download = dataclasses.replace(course.download, total_bytes=size_bytes)
            await self._require_room(course.download.wish, size_bytes)

        try:
            return await fetch(source, course.folder, limits, course.progressed, web=self._web, on_size=sized)
        except FinalError as error:
            if error.key == "download_too_big" and limits is not self._limits:
                raise UserFacingError("download_over_quota", **error.values) from error
            raise

    async def _require_room(self, wish: DownloadWish, size_bytes: int) -> None:
        """Raises FinalError `download_over_quota`."""
        allowance = await self._allowance(wish)
        if allowance is not None and size_bytes > allowance:
            raise FinalError("download_over_quota", size=amount(size_bytes), limit=amount(allowance))

    # --- into the library ---------------------------------------------------------------------------------------------

    async def _take_in(self, course: Course, path: Path) -> tuple[LibraryFile, ...]:
        wish = course.download.wish
        kind = course.source.kind if course.source else wish.kind
        container = await asyncio.to_thread(container_of, path)
        if container == "archive":
            return await self._take_archive(course, path)
        if container == "pickle" and _may_be_pickle(wish):
            written = path.with_suffix(".safetensors")
            if written == path:
                written = path.with_name(f"{path.stem}-converted.safetensors")
            await to_safetensors(path, written)
            path = written
        checked = await inspect(path, kind)
        if checked.problem is not None:
            raise UserFacingError(checked.problem, **checked.values)
        await self._require_room(wish, (await asyncio.to_thread(path.stat)).st_size)
        preview = await self._preview(course.source, course.folder)
        beside = await self._beside(wish, course.folder)
        with course.settling():
            file = await self._adopt(course, path, checked, path.name, preview)
            if beside is not None:
                await asyncio.to_thread(put_beside, beside, file.path)
            return (file,)

    async def _take_archive(self, course: Course, path: Path) -> tuple[LibraryFile, ...]:
        """Its usable models; raises the first one's problem where there is none."""
        wish = course.download.wish
        kind = course.source.kind if course.source else wish.kind
        limit = self._limits.size_bytes
        allowance = await self._allowance(wish)
        if allowance is not None:
            limit = min(limit, max(allowance, 0))
        folder = course.folder / _UNPACKED
        members = await asyncio.to_thread(unpack_models, path, folder, limit, self._limits.spare_bytes)
        good: list[tuple[Path, Checked]] = []
        bad: list[Checked] = []
        for member in members:
            checked = await inspect(member, kind)
            if checked.problem is None:
                good.append((member, checked))
            else:
                bad.append(checked)
        if not good:
            assert bad[0].problem is not None
            raise UserFacingError(bad[0].problem, **bad[0].values)
        named = wish.name if len(good) == 1 else None
        preview = await self._preview(course.source, course.folder)
        with course.settling():  # all or none is cancelled
            return tuple(
                [await self._adopt(course, member, checked, named or member.name, preview) for member, checked in good]
            )

    async def _adopt(
        self, course: Course, path: Path, checked: Checked, name: str, preview: Path | None
    ) -> LibraryFile:
        assert checked.kind is not None, "what has no kind has a problem"
        wish, source = course.download.wish, course.source
        stem, suffix = split_name(safe_name(wish.name or name), path.name)
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        file = await self._find(course, size_bytes, path)
        if file is None:
            arrival = Arrival(
                path,
                checked.kind,
                stem + suffix,
                source=_page(source),
                added_by=wish.asked_by,
                added_in=wish.asked_in,
                preview=preview,
                before_seen=partial(self._hold, wish) if wish.held and self._hold is not None else None,
            )
            file = await self._library.adopt(arrival)
            if source is not None:
                await asyncio.to_thread(write_sidecar, file.path, source)
        # At once: whatever becomes of an archive's other members, this one is there.
        await course.brought(file)
        return file

    async def _adopted_before(self, course: Course) -> LibraryFile | None:
        """A crash came between the library and the table: the file has moved, and nobody wrote it down."""
        if await asyncio.to_thread(holds_files, course.folder):
            return None
        return await self._find(course, course.download.total_bytes or -1, None)

    async def _find(self, course: Course, size_bytes: int, path: Path | None) -> LibraryFile | None:
        """What this very download brought before a crash. `path` is the same file, once more."""
        wish, page = course.download.wish, _page(course.source)
        for file in self._library.files():
            mine = (file.added_by, file.added_in, file.source) == (wish.asked_by, wish.asked_in, page)
            then = course.created_at <= file.added_at < course.begun_at
            alike = mine and then and file.size_bytes == size_bytes
            if alike and (path is None or await asyncio.to_thread(same_content, path, file.path)):
                return file
        return None

    async def _beside(self, wish: DownloadWish, folder: Path) -> Path | None:
        """What the model does not work without. Raises UserFacingError."""
        if wish.beside_url is None or wish.beside_sha256 is None:
            return None
        for tried in range(1, ASK_TRIES):
            try:
                return await fetch_beside(self._web, wish.beside_url, wish.beside_sha256, folder)
            except PassingError as error:
                await asyncio.sleep(error.retry_after_s or self._ask_wait_s * 2**tried)
        return await fetch_beside(self._web, wish.beside_url, wish.beside_sha256, folder)

    async def _preview(self, source: Source | None, folder: Path) -> Path | None:
        """A nicety: whatever goes wrong with it keeps no model out."""
        if source is None or source.preview_url is None:
            return None
        try:
            data = await self._web.read(source.preview_url, PREVIEW_BYTES_MAX)
            path = folder / ".preview"
            await asyncio.to_thread(path.write_bytes, data)
        except (UserFacingError, OSError) as error:
            log.info("a preview was left out: %s", getattr(error, "key", "disk"))
            return None
        return path


def _may_be_pickle(wish: DownloadWish) -> bool:
    return wish.allow_pickle_with_sha256 and wish.sha256 is not None


def _page(source: Source | None) -> str | None:
    return source.page if source is not None else None
