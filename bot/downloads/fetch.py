"""Fetches one file, whole or not at all, whatever its servers do; usable without a bot.

    async with Web(WebRules(), Tokens()) as web:
        source = await resolve(parse_links(text)[0], web)
        path = await fetch(source, folder, FetchLimits(), web=web)

An address that fails for good leads to the next mirror; what may pass is tried again, later each time. What was
received stays, and is gone on with where the file is provably the same: its host says so (If-Range), or a hash will
tell.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from bot.downloads.answers import name_of_url, safe_name
from bot.downloads.partfile import PartFile
from bot.downloads.rates import Rate
from bot.downloads.receive import ChangedError, FetchLimits, Receiver
from bot.downloads.sources import Source
from bot.downloads.trouble import FinalError, PassingError, amount
from bot.downloads.web import Web
from bot.errors import UserFacingError

__all__ = ["GB", "FetchLimits", "FetchProgress", "fetch"]

log = logging.getLogger(__name__)

GB = 1_000_000_000
RESTARTS_MAX = 3
"""Of one address whose file is another one each time."""
WAIT_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class FetchProgress:
    received_bytes: int
    total_bytes: int | None
    rate_bytes_s: float
    """Smoothed."""
    eta_s: float | None
    filename: str | None


async def _any_size(_: int) -> None:
    pass


async def fetch(
    source: Source,
    folder: Path,
    limits: FetchLimits,
    on_progress: Callable[[FetchProgress], None] = lambda _: None,
    *,
    web: Web,
    on_size: Callable[[int], Awaitable[None]] = _any_size,
) -> Path:
    """Into `folder`, which is this file's alone: after any interruption the same call goes on from what is there.
    `on_size` is told how large the whole will be, by each host before its first byte; it may raise FinalError.

    Returns the whole file, of the source's hash where it names one, under a name that every file system takes. Raises
    UserFacingError.
    """
    try:
        return await _fetched(source, folder, limits, on_progress, on_size, web)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise FinalError("download_disk_full" if full else "download_disk") from error


async def _fetched(
    source: Source,
    folder: Path,
    limits: FetchLimits,
    on_progress: Callable[[FetchProgress], None],
    on_size: Callable[[int], Awaitable[None]],
    web: Web,
) -> Path:
    part = await asyncio.to_thread(PartFile.open, folder)
    done = part.finished()
    if done is not None:
        return done
    try:
        async with asyncio.timeout(max(limits.time_s - part.note.spent_s, 0)):
            return await _Fetch(source, part, limits, on_progress, on_size, web).run()
    except TimeoutError:
        part.grant_time()  # whoever asks once more gets as much again
        raise FinalError("download_time", hours=round(limits.time_s / 3600, 1)) from None
    finally:
        await asyncio.shield(asyncio.to_thread(part.leave))


class _Fetch:
    def __init__(
        self,
        source: Source,
        part: PartFile,
        limits: FetchLimits,
        report: Callable[[FetchProgress], None],
        on_size: Callable[[int], Awaitable[None]],
        web: Web,
    ) -> None:
        self._source = source
        self._part = part
        self._limits = limits
        self._report = report
        self._rate = Rate(time.monotonic())
        self._counted = part.size
        self._receiver = Receiver(part, limits, web, self._progressed, on_size, sha256=source.sha256)
        self._best = part.size

    async def run(self) -> Path:
        await self._check_size()
        waiting = list(dict.fromkeys(self._source.urls))
        restarts: dict[str, int] = {}
        idle = 0
        while True:
            url = waiting[0]
            wait_s = 0.0
            try:
                return await self._once(url)
            except FinalError:
                raise
            except PassingError as error:
                idle = 0 if self._part.size > self._best else idle + 1
                if idle >= self._limits.tries:
                    raise
                wait_s = error.retry_after_s or (min(self._limits.wait_s * 2**idle, WAIT_MAX_S) if idle else 0.0)
                log.info("%s: %s; tried again in %.0f s", _host(url), error.key, wait_s)
                waiting.append(waiting.pop(0))
            except ChangedError as error:
                restarts[url] = restarts.get(url, 0) + 1
                await asyncio.to_thread(self._part.restart)
                if restarts[url] > RESTARTS_MAX:
                    log.info("%s: left, %s", _host(url), error.key)
                    waiting = _without(url, waiting, error)
            except UserFacingError as error:
                log.info("%s: left, %s", _host(url), error.key)
                waiting = _without(url, waiting, error)
            self._best = max(self._best, self._part.size)
            # With mirrors left, another one is asked at once.
            await asyncio.sleep(wait_s if len(waiting) == 1 or idle % len(waiting) == 0 else 0)

    async def _once(self, url: str) -> Path:
        await self._receiver.receive(url)
        if self._source.sha256 is not None:
            found = await asyncio.to_thread(self._part.sha256)
            if found != self._source.sha256:
                raise await self._wrong_hash(url)
        name = self._source.filename or self._part.note.filename or name_of_url(url) or "model"
        return await asyncio.to_thread(self._part.finish, safe_name(name))

    async def _wrong_hash(self, url: str) -> UserFacingError:
        mixed = self._part.note.mixed
        await asyncio.to_thread(self._part.restart)
        if mixed:
            return ChangedError("download_hash", host=_host(url))
        return UserFacingError("download_hash", host=_host(url))

    async def _check_size(self) -> None:
        """Before anything is sent, by what the source said."""
        expected = self._source.size_bytes or 0
        if expected > self._limits.size_bytes:
            raise FinalError("download_too_big", size=amount(expected), limit=amount(self._limits.size_bytes))
        await self._receiver.check_room(expected - self._part.size)

    def _progressed(self) -> None:
        part, now = self._part, time.monotonic()
        self._rate.add(max(part.size - self._counted, 0), now)
        self._counted = part.size
        total = part.note.total or self._source.size_bytes
        left = max(total - part.size, 0) if total is not None else None
        name = self._source.filename or part.note.filename
        self._report(
            FetchProgress(
                part.size, total, self._rate.bytes_s, self._rate.eta_s(left), safe_name(name) if name else None
            )
        )


def _without(url: str, urls: Sequence[str], error: UserFacingError) -> list[str]:
    """Raises `error` where nothing is left."""
    left = [other for other in urls if other != url]
    if not left:
        raise error
    return left


def _host(url: str) -> str:
    try:
        return URL(url).host or ""
    except ValueError:
        return ""
