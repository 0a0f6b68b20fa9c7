"""All downloads: a few at once, each in the database from the first moment, gone on with after every interruption."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bot.downloads.answers import safe_name
from bot.downloads.fetch import GB, FetchLimits
from bot.downloads.links import parse_links
from bot.downloads.quarantine import Quarantine
from bot.downloads.records import Download, DownloadWish
from bot.downloads.rows import download_of, row_of, source_of
from bot.downloads.run import Run
from bot.downloads.sources import Source
from bot.downloads.web import Web
from bot.downloads.work import ASK_WAIT_S, Work
from bot.errors import UserFacingError
from bot.library import Library
from bot.settings import Settings
from bot.storage.database import Database, StorageFullError
from bot.storage.downloads import DownloadStore

__all__ = ["DownloadRules", "Downloads"]

log = logging.getLogger(__name__)

TIDY_EVERY_S = 6 * 3600.0
PARTS_KEPT_S = 7 * 24 * 3600.0
"""How long what came of a failed download waits for somebody to ask for it again."""
_GONE = ".gone-"
_ID_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"


async def _no_bound(_: DownloadWish) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class DownloadRules:
    limits: FetchLimits = field(default_factory=FetchLimits)
    at_once: int = 2
    allowance: Callable[[DownloadWish], Awaitable[int | None]] = _no_bound
    """Bytes that the file may have, because of a quota; None: no bound but the limits'."""
    hold: Callable[[DownloadWish, str], Awaitable[None]] | None = None
    """Keeps the file with that id disabled; asked before anybody can see the file, for wishes that are `held`."""
    ask_wait_s: float = ASK_WAIT_S
    """Before a host that did not answer is asked again; later each time."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        limits = FetchLimits(size_bytes=int(settings.download_limit_gb * GB), time_s=settings.download_hours * 3600)
        return cls(limits, settings.downloads_at_once)


class Downloads:
    def __init__(self, database: Database, library: Library, web: Web, *, data: Path, rules: DownloadRules) -> None:
        """Unfinished files lie in `data/downloads`, refused ones in `data/quarantine`."""
        self._store = DownloadStore(database)
        self._web = web
        self._folder = data / "downloads" / "wished"
        self._quarantine = Quarantine(data / "quarantine")
        self._work = Work(
            library,
            web,
            self._quarantine,
            rules.limits,
            rules.allowance,
            hold=rules.hold,
            ask_wait_s=rules.ask_wait_s,
        )
        self._slots = asyncio.Semaphore(rules.at_once)
        self._running: dict[str, Run] = {}
        self._adding: set[str] = set()
        """Links whose downloads are just being stored."""
        self._tidying: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[Download], None]] = []

    async def start(self) -> None:
        """Goes on with what was interrupted. After the library was loaded."""
        for row in await self._store.unfinished():
            try:
                download, source = download_of(row), source_of(row)
            except (TypeError, ValueError):
                log.error("download %s was written by another version; it is given up", row.id)
                failed = dataclasses.replace(row, state="failed", problem="download_bug", problem_values="{}")
                await self._store.save(failed)
                continue
            uploaded = await asyncio.to_thread((self._folder / _file_key(download.id)).is_dir)
            self._begin(download, source, row.created_at, uploaded=uploaded)
        self._tidying = asyncio.create_task(self._tidy_forever(), name="downloads-tidy")

    async def stop(self) -> None:
        """What runs is interrupted and stays in the table."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
            self._tidying = None
        runs = [run for run in self._running.values() if run.task is not None]
        for run in runs:
            assert run.task is not None
            run.task.cancel()
        await asyncio.gather(*(run.task for run in runs if run.task is not None), return_exceptions=True)
        self._running.clear()
        await self._web.close()

    async def add(self, wanted: DownloadWish) -> Download:
        """Stored when it returns. Raises UserFacingError, StorageFullError."""
        links = parse_links(wanted.link)
        if len(links) > 1:
            raise UserFacingError("download_many_links", limit=1)
        mirrors = tuple(link.url for mirror in wanted.mirrors for link in parse_links(mirror))
        wish = dataclasses.replace(wanted, link=links[0].url, mirrors=mirrors, sha256=_hash(wanted.sha256))
        if wish.link in self._adding or any(run.download.wish.link == wish.link for run in self._running.values()):
            raise UserFacingError("download_running")
        download, now = Download(_new_id(), wish, "waiting"), time.time()
        # From here on, for whoever asks for the same link while this one is stored would write into the same folder.
        self._adding.add(wish.link)
        try:
            await self._store.add(row_of(download, None, now))
            return self._begin(download, None, now)
        finally:
            self._adding.discard(wish.link)

    async def add_file(self, path: Path, wanted: DownloadWish) -> Download:
        """A file that is here already (an attachment) goes through the same checks; it is moved away from `path`.
        Raises UserFacingError, StorageFullError."""
        wish = dataclasses.replace(wanted, sha256=_hash(wanted.sha256))
        id_ = _new_id()
        name = safe_name(wish.link.partition("?")[0])
        download = Download(id_, wish, "waiting", filename=name)
        folder = self._folder / _file_key(id_)
        try:
            await asyncio.to_thread(_move_here, path, folder / name)
        except OSError as error:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise StorageFullError from error
        try:
            now = time.time()
            await self._store.add(row_of(download, None, now))
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        return self._begin(download, None, now, uploaded=True)

    def active(self) -> tuple[Download, ...]:
        """Those that have not ended, oldest first; no I/O."""
        return tuple(run.download for run in self._running.values() if not run.download.ended)

    async def get(self, id_: str) -> Download | None:
        run = self._running.get(id_)
        if run is not None:
            return run.download
        row = await self._store.get(id_)
        try:
            return download_of(row) if row is not None else None
        except (TypeError, ValueError):
            return None

    async def cancel(self, id_: str) -> bool:
        """Whether this very call ended it: what is just coming into the library is not stopped any more."""
        run = self._running.get(id_)
        if run is None or run.is_settling or run.task is None or run.cancelled:
            return False
        run.cancelled = True
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
        return run.download.state == "cancelled"

    def subscribe(self, listener: Callable[[Download], None]) -> None:
        """Called on the loop when a download changes state, and with its progress about twice a second."""
        self._listeners.append(listener)

    # --- parts --------------------------------------------------------------------------------------------------------

    def _begin(
        self, download: Download, source: Source | None, created_at: float, *, uploaded: bool = False
    ) -> Download:
        folder = self._folder / (_file_key(download.id) if uploaded else _link_key(download.wish))
        run = Run(download, source, folder, created_at, self._store, self._tell)
        self._running[download.id] = run
        here = folder / download.filename if uploaded and download.filename else None
        run.task = asyncio.create_task(self._run(run, here), name=f"download-{download.id}")
        return download

    async def _run(self, run: Run, here: Path | None) -> None:
        try:
            async with self._slots:
                files = await self._work.run(run, here)
            ended = dataclasses.replace(run.download, state="done", file_ids=tuple(file.id for file in files))
        except asyncio.CancelledError:
            if not run.cancelled:
                raise  # we are stopping; the table remembers
            ended = dataclasses.replace(run.download, state="cancelled")
        except UserFacingError as error:
            log.info("download %s failed: %s", run.download.id, error.key)
            ended = _failed(run.download, error.key, **error.values)
        except StorageFullError:
            ended = _failed(run.download, "download_disk_full")
        except OSError:
            log.exception("download %s failed at the disk", run.download.id)
            ended = _failed(run.download, "download_disk")
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("download %s failed by a bug, reference %s", run.download.id, reference)
            ended = _failed(run.download, "download_bug", reference=reference)
        await self._end(run, dataclasses.replace(ended, rate_bytes_s=0.0, eta_s=None))

    async def _end(self, run: Run, ended: Download) -> None:
        run.is_settling = True
        run.download = ended
        try:
            await self._store.save(row_of(ended, run.source, run.created_at))
        except StorageFullError:
            log.error("the end of download %s could not be stored; the next start finds it again", ended.id)
        if ended.state != "failed" or run.folder.name == _file_key(ended.id):
            # Still counted as running meanwhile: whoever asks for the same link gets the same folder.
            await asyncio.to_thread(shutil.rmtree, run.folder, ignore_errors=True)
        self._running.pop(ended.id, None)
        self._tell(ended)

    def _tell(self, download: Download) -> None:
        for listener in self._listeners:
            try:
                listener(download)
            except Exception:
                log.exception("a listener failed; the downloads go on")

    # --- what is left over --------------------------------------------------------------------------------------------

    async def _tidy_forever(self) -> None:
        while True:
            try:
                await self._store.forget_old()
                await self._tidy()
            except Exception:
                log.exception("old downloads could not be tidied away; it is tried again")
            await asyncio.sleep(TIDY_EVERY_S)

    async def _tidy(self) -> None:
        for folder in await asyncio.to_thread(_old_folders, self._folder):
            if any(run.folder == folder for run in self._running.values()):
                continue
            gone = folder.with_name(f"{_GONE}{secrets.token_hex(4)}")
            # In one breath with the question above: whoever asks for this link now gets a folder of its own.
            with contextlib.suppress(OSError):
                folder.rename(gone)
            await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
        await asyncio.to_thread(self._quarantine.tidy)


def _failed(download: Download, problem: str, **values: object) -> Download:
    return dataclasses.replace(download, state="failed", problem=problem, problem_values=values)


def _new_id() -> str:
    return "".join(secrets.choice(_ID_DIGITS) for _ in range(10))


def _link_key(wish: DownloadWish) -> str:
    """The same for the same file, so that whoever asks again goes on from what came before."""
    return hashlib.sha256(f"{wish.link}\n{wish.sha256}".encode()).hexdigest()[:20]


def _file_key(id_: str) -> str:
    return f"file-{id_}"


def _old_folders(wished: Path) -> list[Path]:
    """Nobody has written in them for long; those first that are half deleted."""
    with contextlib.suppress(OSError):
        return [folder for folder in sorted(wished.iterdir()) if folder.name.startswith(_GONE) or _is_old(folder)]
    return []


def _is_old(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > PARTS_KEPT_S
    except OSError:
        return False


def _hash(sha256: str | None) -> str | None:
    return sha256.strip().lower() or None if sha256 else None


def _move_here(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
