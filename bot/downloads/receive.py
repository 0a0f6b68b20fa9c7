"""One request for a file: what is asked for, whether the answer is the rest of what is there, and its bytes to disk."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.downloads.answers import Span, header_name, is_page, looks_like_page, span_of, validator_of
from bot.downloads.partfile import Note, PartFile
from bot.downloads.trouble import FinalError, PassingError, amount
from bot.downloads.web import Answer, Web, check_plain, translated
from bot.errors import UserFacingError

__all__ = ["ChangedError", "FetchLimits", "Receiver"]

WRITE_BYTES = 1 << 20
WRITE_EVERY_S = 0.4
SYNC_BYTES = 64 << 20
SYNC_EVERY_S = 15.0
CRAWL_BYTES_S = 500
"""A server that sends less over a whole `stall_s * CRAWL_WINDOWS` is left, too."""
CRAWL_WINDOWS = 4


@dataclass(frozen=True, slots=True)
class FetchLimits:
    size_bytes: int = 30_000_000_000
    time_s: float = 12 * 3600.0
    """Of fetching alone; it goes on counting after an interruption."""
    spare_bytes: int = 1_000_000_000
    """What stays free on the disk."""
    tries: int = 10
    """In a row, without a new byte."""
    wait_s: float = 1.0
    """Before the first of them; twice as long before each further one."""


class ChangedError(UserFacingError):
    """The address has another file now than the one that is half here: from the first byte, then."""


class Receiver:
    def __init__(
        self,
        part: PartFile,
        limits: FetchLimits,
        web: Web,
        on_progress: Callable[[], None],
        on_size: Callable[[int], Awaitable[None]],
        *,
        sha256: str | None,
    ) -> None:
        self._part = part
        self._limits = limits
        self._web = web
        self._on_progress = on_progress
        self._on_size = on_size
        self._sha256 = sha256

    async def receive(self, url: str) -> None:
        """Returns once the part is whole, as far as its host says. Raises UserFacingError, of it ChangedError,
        PassingError and FinalError, and OSError of the disk."""
        part = self._part
        total = part.note.total
        if part.size and not self._may_resume(url):
            await asyncio.to_thread(part.restart)
        if total is not None and part.size == total and part.size:
            return  # only its end was not recorded
        async with self._web.open(url, headers=self._headers(url)) as answer:
            if await self._begin(url, answer):
                return
            await self._copy(answer)
        total = part.note.total
        if total is not None and part.size < total:
            raise PassingError("download_broken", host=answer.host)
        if total is not None and part.size > total:
            raise ChangedError("download_changes", host=answer.host)
        part.note = dataclasses.replace(part.note, total=part.size)

    async def check_room(self, needed_bytes: int) -> None:
        """Raises FinalError where the disk has not that much to spare."""
        free = (await asyncio.to_thread(shutil.disk_usage, self._part.folder)).free
        needed = max(needed_bytes, 0) + self._limits.spare_bytes
        if free < needed:
            raise FinalError("download_no_room", needed=amount(needed), free=amount(free))

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _may_resume(self, url: str) -> bool:
        """A hash proves in the end that pieces from anywhere belong together."""
        note = self._part.note
        return self._sha256 is not None or (note.url == url and note.validator is not None)

    def _headers(self, url: str) -> dict[str, str]:
        part = self._part
        if not part.size:
            return {}
        headers = {"Range": f"bytes={part.size}-"}
        if part.note.url == url and part.note.validator is not None:
            headers["If-Range"] = part.note.validator
        return headers

    async def _begin(self, url: str, answer: Answer) -> bool:
        """Makes the part ready for the answer's body; True where the part is whole already."""
        part, host, headers = self._part, answer.host, answer.response.headers
        check_plain(answer)
        at = part.size
        span = span_of(headers.get("Content-Range", ""))
        match answer.response.status:
            case 206 if at and span is not None and span.start == at:
                total = self._same_total(span, headers.get("ETag"), url, host)
            case 416 if at and span is not None and span.total == at and self._sha256 is not None:
                return True
            case 200:
                if at:
                    await asyncio.to_thread(part.restart)  # it changed, or its server gives files as a whole only
                if self._is_page(answer):
                    raise UserFacingError(self._page_key(answer), host=host)
                total = answer.response.content_length
            case _:
                raise ChangedError("download_bad_answer", host=host)
        if total is not None and total > self._limits.size_bytes:
            raise FinalError("download_too_big", size=amount(total), limit=amount(self._limits.size_bytes))
        if total is not None:
            await self._on_size(total)
        await self.check_room((total or 0) - part.size)
        mixed = part.note.mixed or bool(part.size)
        part.note = Note(
            url=url,
            validator=validator_of(headers),
            total=total,
            filename=header_name(headers) or part.note.filename,
            synced=part.note.synced,
            spent_s=part.note.spent_s,
            mixed=mixed,
        )
        return False

    def _same_total(self, span: Span, etag: str | None, url: str, host: str) -> int | None:
        """Of a partial answer. Raises ChangedError where it is of another file than the part."""
        note = self._part.note
        known = note.validator if note.url == url and (note.validator or "").startswith('"') else None
        if known is not None and etag is not None and etag.strip() != known:
            raise ChangedError("download_changes", host=host)
        if span.total is not None and note.total is not None and span.total != note.total:
            raise ChangedError("download_changes", host=host)
        return span.total if span.total is not None else note.total

    def _is_page(self, answer: Answer) -> bool:
        return is_page(answer.response.headers)

    def _page_key(self, answer: Answer) -> str:
        """A page instead of the file: most hosts say so that somebody has to sign in."""
        first, last = answer.hops[0].url, answer.response.url
        if any(word in last.path.lower() for word in ("login", "signin", "sign-in", "auth")):
            return self._web.login_key(first)
        return "download_page"

    # --- its bytes ----------------------------------------------------------------------------------------------------

    async def _copy(self, answer: Answer) -> None:
        part, content = self._part, answer.response.content
        buffer = bytearray()
        written = synced = crawl_at = time.monotonic()
        unsynced = crawled = 0
        try:
            while True:
                with translated(answer.host):
                    piece = await content.readany()
                if not piece:
                    break
                buffer += piece
                crawled += len(piece)
                self._check_length(len(buffer), answer.host)
                now = time.monotonic()
                if now - crawl_at > CRAWL_WINDOWS * self._web.rules.stall_s:
                    if crawled < CRAWL_BYTES_S * (now - crawl_at):
                        raise PassingError("download_silent", host=answer.host)
                    crawl_at, crawled = now, 0
                if len(buffer) < WRITE_BYTES and now - written < WRITE_EVERY_S:
                    continue
                unsynced += len(buffer)
                await self._write(buffer, answer)
                written = now
                if unsynced >= SYNC_BYTES or now - synced >= SYNC_EVERY_S:
                    await asyncio.to_thread(part.sync)
                    await self.check_room(0)
                    synced, unsynced = now, 0
        except BaseException as error:
            # What came before the trouble is paid for; more than there should be is none of it.
            if buffer and not isinstance(error, ChangedError | FinalError):
                with contextlib.suppress(UserFacingError, OSError):
                    await asyncio.shield(self._write(buffer, answer))
            raise
        if buffer:
            await self._write(buffer, answer)
        await asyncio.to_thread(part.sync)

    async def _write(self, buffer: bytearray, answer: Answer) -> None:
        data = bytes(buffer)
        buffer.clear()
        first = self._part.size == 0
        if first and looks_like_page(data):
            raise UserFacingError(self._page_key(answer), host=answer.host)
        await asyncio.to_thread(self._part.write, data)
        self._on_progress()

    def _check_length(self, waiting: int, host: str) -> None:
        size, total = self._part.size + waiting, self._part.note.total
        if size > self._limits.size_bytes:
            raise FinalError("download_too_big", size=amount(size), limit=amount(self._limits.size_bytes))
        if total is not None and size > total:
            raise ChangedError("download_changes", host=host)
