"""Carries outbox entries to the broker, and keeps them until the bot has them on its own disk.

An entry's files go first, in chunks, and then its manifest into the mailbox. Entries of one job go one after the other,
those of different jobs side by side, so that no picture waits for a trained file of gigabytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from gpu_worker.outbox import WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import FrameError, pack, unpack
from gpu_worker.protocol.nats.link import Link, LinkDownError
from gpu_worker.protocol.nats.mail import ENTRY_FILE, INLINE_BYTES, Landed, Manifest, SentFile
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES, Entry, Subjects, parse_entry

__all__ = ["Uploads"]

log = logging.getLogger(__name__)

WINDOW = 4
"""Chunks under way at once: a link of 200 ms still moves 10 MB/s."""
RESEND_S = 30.0
SILENT_S = 60.0
TELL_EVERY_S = 300.0


@dataclass
class _Upload:
    stored: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Something came from the bot since it was last looked at."""
    landed: bool = False
    renewed: bool = False
    """It was written anew while it was on its way."""
    saved: bool = False
    """It is a file that a training saved."""
    task: asyncio.Task[None] | None = None


class Uploads:
    """Used on the loop of its link only."""

    def __init__(
        self,
        link: Link,
        subjects: Subjects,
        worker: str,
        outbox: WorkerOutbox,
        *,
        retry_s: float,
        resend_s: float = RESEND_S,
    ) -> None:
        """`resend_s`: how long the bot may take to say that it has an entry, before that is put into the mailbox anew
        (the bot may have said it while nobody heard)."""
        self._link = link
        self._subjects = subjects
        self._worker = worker
        self._outbox = outbox
        self._retry_s = retry_s
        self._resend_s = resend_s
        self._uploads: dict[str, _Upload] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._window = asyncio.Semaphore(WINDOW)
        self._told_at = float("-inf")

    def add(self, entry: str, *, again: bool = True) -> None:
        """Once more for one that is written anew; not `again`: only where it is not on its way already."""
        if entry in self._uploads:
            self._uploads[entry].renewed = self._uploads[entry].renewed or again
        else:
            upload = self._uploads[entry] = _Upload()
            upload.task = asyncio.create_task(self._carry(entry, upload), name=f"upload-{entry}")

    async def stored(self, entry: str) -> None:
        """Returns when the broker has all of it on its disk, or the bot has it."""
        upload = self._uploads.get(entry)
        if upload is not None:
            await upload.stored.wait()

    async def stored_all(self) -> None:
        for entry in list(self._uploads):
            await self.stored(entry)

    def unstored(self) -> list[Entry]:
        """Ends of attempts that are on this disk alone."""
        named = (parse_entry(name) for name, upload in self._uploads.items() if not upload.stored.is_set())
        return [entry for entry in named if entry is not None and entry.part is None]

    def landed(self, receipt: Landed) -> None:
        upload = self._uploads.get(receipt.entry)
        if upload is not None:
            upload.landed = upload.landed or receipt.whole
            upload.heard.set()

    def cancel(self) -> None:
        for upload in self._uploads.values():
            if upload.task is not None:
                upload.task.cancel()

    # --- one entry ----------------------------------------------------------------------------------------------------

    async def _carry(self, entry: str, upload: _Upload) -> None:
        named = parse_entry(entry)
        job = named.job if named is not None else entry
        files: tuple[str, ...] = ()
        try:
            async with self._turns.setdefault(job, asyncio.Lock()):
                if named is not None and named.part is None:
                    await self._saved_landed(job)
                manifest, files = await self._send_whole(entry)
                if manifest is None:
                    return  # it is no longer there: nothing to deliver
                upload.saved = named is not None and named.part is not None and any(map(_is_model, files))
                upload.stored.set()
            while True:
                heard = await self._hears(upload)
                if upload.landed and not upload.renewed:
                    break
                if heard:  # it did not arrive whole, or is another by now
                    upload.landed = upload.renewed = False
                    manifest, files = await self._send_whole(entry)
                    if manifest is None:
                        return
                else:  # the bot is away, or its word was lost
                    await self._retried(lambda sent=manifest: self._post(entry, sent))
            await asyncio.to_thread(self._outbox.forget, entry, files)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("entry %s cannot be delivered; it stays in the outbox until the next start", entry)
        finally:
            upload.stored.set()
            self._uploads.pop(entry, None)
            lock = self._turns.get(job)
            if lock is not None and not lock.locked():
                del self._turns[job]

    async def _saved_landed(self, job: str) -> None:
        """The end of a training says that its files are with the bot. In the mailbox they might come behind it: what is
        put there anew does, and a broker may have lost one."""
        saved = (upload for name, upload in self._uploads.items() if upload.saved and name.startswith(f"{job}."))
        tasks = [upload.task for upload in saved if upload.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    async def _hears(self, upload: _Upload) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._resend_s):
                await upload.heard.wait()
        heard = upload.heard.is_set()
        upload.heard.clear()
        return heard

    async def _send_whole(self, entry: str) -> tuple[Manifest | None, tuple[str, ...]]:
        """The manifest that was put into the mailbox, and the names of its files here. None: the entry is gone."""
        while True:
            try:
                body = await asyncio.to_thread(self._outbox.read, entry)
            except FileNotFoundError:
                return None, ()
            except OSError as error:
                log.warning("entry %s cannot be read yet: %s", entry, error)
                await asyncio.sleep(self._retry_s)
                continue
            break
        names = _files_of(body)
        sent: list[SentFile] = []
        inline = body if len(body) <= INLINE_BYTES else None
        room = INLINE_BYTES - len(inline or b"")
        for name in names:
            data = await asyncio.to_thread(_small, self._outbox.folder / name, room)
            if data is not None:
                room -= len(data)
                sent.append(SentFile(name=name, size_bytes=len(data), data=data))
            elif (size := await self._send_file(name)) is not None:
                sent.append(SentFile(name=name, size_bytes=size))
        if inline is None:
            await self._send_bytes(f"{entry}.{ENTRY_FILE}", body)
            sent.append(SentFile(name=f"{entry}.{ENTRY_FILE}", size_bytes=len(body)))
        manifest = Manifest(entry=inline, files=tuple(sent))
        await self._retried(lambda: self._post(entry, manifest))
        return manifest, names

    async def _post(self, entry: str, manifest: Manifest) -> None:
        await self._link.store(self._subjects.entry(self._worker, entry), pack(manifest))

    # --- chunks -------------------------------------------------------------------------------------------------------

    async def _send_file(self, name: str) -> int | None:
        """Its size; None where it is not there, which the bot will find out."""
        path = self._outbox.folder / name
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except OSError as error:
            log.error("output %s is lost: %s", name, error)
            return None
        size = number = 0
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    await self._window.acquire()
                    try:
                        data = await asyncio.to_thread(file.read, CHUNK_BYTES)
                    except BaseException:
                        self._window.release()
                        raise
                    if not data:
                        self._window.release()
                        break
                    group.create_task(self._send_chunk(name, number, data))
                    size, number = size + len(data), number + 1
            finally:
                await asyncio.to_thread(file.close)
        return size

    async def _send_bytes(self, name: str, body: bytes) -> None:
        for number, start in enumerate(range(0, len(body), CHUNK_BYTES)):
            await self._window.acquire()
            await self._send_chunk(name, number, body[start : start + CHUNK_BYTES])

    async def _send_chunk(self, name: str, number: int, data: bytes) -> None:
        subject = self._subjects.chunk(self._worker, name, number)
        try:
            await self._retried(lambda: self._link.store(subject, data))
        finally:
            self._window.release()

    async def _retried(self, send: Callable[[], Awaitable[None]]) -> None:
        """For ever: it is paid for."""
        began = asyncio.get_running_loop().time()
        while True:
            try:
                await send()
                return
            except LinkDownError as error:
                log.debug("not sent yet: %s", error)
                self._tell_if_refused(began, error)
                await asyncio.sleep(self._retry_s)
                await self._link.wait_up()

    def _tell_if_refused(self, began: float, error: LinkDownError) -> None:
        """A broker that is away is told by the link; one that is there and takes nothing by nobody else."""
        now = asyncio.get_running_loop().time()
        if self._link.connected and now - began > SILENT_S and now - self._told_at > TELL_EVERY_S:
            self._told_at = now
            log.warning("%s: the broker is there and takes no results (%s); look at its disk and its max_payload: "
                        "1 MB or more. They wait here meanwhile", self._worker, error)  # fmt: skip


def _is_model(name: str) -> bool:
    return name.endswith(".safetensors")


def _small(path: Path, room: int) -> bytes | None:
    """All of a file of at most `room` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(room + 1)
    except OSError:
        return None
    return data if len(data) <= room else None


def _files_of(body: bytes) -> tuple[str, ...]:
    """Raises ValueError for what was never an entry."""
    try:
        message = m.parse_to_bot({**unpack(body), "worker": ""})
    except (FrameError, ValidationError) as error:
        raise ValueError("a damaged outbox entry") from error
    if isinstance(message, m.Done | m.Partial):
        return tuple(output.blob for output in message.outputs if output.blob)
    return ()
