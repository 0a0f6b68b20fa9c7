"""The two streams on the broker: a mailbox of entries, and a store of their files' chunks.

Nothing is consumed: the bot asks for the next entry of a worker, has it on its own disk, and deletes it. So there are
no acknowledgements that a restarted broker could have forgotten, and the order is always that of the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass

import nats.errors
from nats.js.api import DiscardPolicy, RawStreamMsg, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError, ServerError
from nats.js.errors import Error as StreamError

from gpu_worker.protocol.nats.link import Link, LinkDownError
from gpu_worker.protocol.nats.mail import SentFile
from gpu_worker.protocol.nats.subjects import Subjects

__all__ = ["ChunkLostError", "Letter", "Streams"]

KEPT_S = 24 * 3600
WINDOW = 8
"""Chunks asked for at once."""
PURGE_FAILED, NO_MESSAGE = 10051, 10057
"""The broker's numbers for it."""


class ChunkLostError(Exception):
    """The broker does not have it (any more)."""


@dataclass(frozen=True, slots=True)
class Letter:
    seq: int
    entry: str
    data: bytes


class Streams:
    """Each method raises LinkDownError where the broker is away, or cannot."""

    def __init__(self, link: Link, subjects: Subjects) -> None:
        self._link = link
        self._subjects = subjects

    async def prepare(self) -> None:
        """They are there; made anew where a broker has lost its disk."""
        for name, kind in self._both():
            config = StreamConfig(
                name=name, subjects=[f"{self._subjects.prefix}.{kind}.>"], retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE, max_age=KEPT_S, max_msgs_per_subject=1,
                # A full store refuses what is new: its worker tries again, and nothing that was accepted goes.
                discard=DiscardPolicy.NEW, allow_direct=True,
            )  # fmt: skip
            async with _translated(name):
                streams = self._link.streams()
                try:
                    await streams.add_stream(config)  # pyright: ignore[reportUnknownMemberType]
                except BadRequestError:  # it is there, from an earlier version
                    await streams.update_stream(config)  # pyright: ignore[reportUnknownMemberType]

    async def stuck(self) -> list[str]:
        """Those that take nothing any more: once a write has failed, on a full disk, a broker answers no later one,
        until it is restarted or the stream is made anew. What lies in them can be read all the same."""
        found: list[str] = []
        for name, kind in self._both():
            async with _translated(name):
                try:
                    # Removes nothing, and is told of the error that a publication only waits for.
                    purge = self._link.streams().purge_stream(name, subject=f"{self._subjects.prefix}.{kind}.nothing")
                    await self._link.while_up(purge)
                except ServerError as error:
                    if error.err_code != PURGE_FAILED:
                        raise
                    found.append(name)
        return found

    async def renew(self, names: Collection[str]) -> None:
        """Empties them. What was in them is on its workers' disks until they hear that it has landed."""
        for name in names:
            async with _translated(name):
                with contextlib.suppress(NotFoundError):
                    await self._link.while_up(self._link.streams().delete_stream(name))
        await self.prepare()

    def _both(self) -> tuple[tuple[str, str], ...]:
        return (self._subjects.mailbox, "fin"), (self._subjects.store, "blob")

    async def next_letter(self, worker: str, after: int) -> Letter | None:
        """The next one of a worker behind the sequence number `after`."""
        subject = self._subjects.entry(worker, ">")
        async with _translated(self._subjects.mailbox):
            try:
                found = await self._link.while_up(
                    self._link.streams().get_msg(
                        self._subjects.mailbox, seq=after + 1, subject=subject, next=True, direct=True
                    )
                )
            except NotFoundError:
                return None
        if found.seq is None or found.subject is None:
            return None
        return Letter(found.seq, self._subjects.entry_of(found.subject), found.data or b"")

    async def senders(self) -> set[str]:
        """Workers that have something in the mailbox."""
        async with _translated(self._subjects.mailbox):
            everybody = f"{self._subjects.prefix}.fin.>"
            info = await self._link.while_up(self._link.streams().stream_info(self._subjects.mailbox, everybody))
        return {self._subjects.worker_of(subject) for subject in info.state.subjects or ()}

    async def remove(self, worker: str, letter: Letter, files: tuple[SentFile, ...]) -> None:
        """The letter first: what is left of its files then goes in a day."""
        async with _translated(self._subjects.mailbox):
            streams = self._link.streams()
            try:
                await self._link.while_up(streams.delete_msg(self._subjects.mailbox, letter.seq))
            except (NotFoundError, BadRequestError):
                pass  # gone
            except ServerError as error:
                if error.err_code != NO_MESSAGE:
                    raise
                return  # a repeated one has its place, and the files are that one's now
            for file in files:
                if not file.chunks:
                    continue
                chunks = self._subjects.chunk(worker, file.name, ">")
                await self._link.while_up(streams.purge_stream(self._subjects.store, subject=chunks))

    async def chunks(self, worker: str, file: SentFile) -> AsyncGenerator[bytes]:
        """In their order. Raises ChunkLostError."""
        coming = deque[asyncio.Task[bytes]]()
        try:
            for number in range(file.chunks):
                coming.append(asyncio.create_task(self._chunk(worker, file.name, number)))
                if len(coming) >= WINDOW:
                    yield await coming.popleft()
            while coming:
                yield await coming.popleft()
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)

    async def _chunk(self, worker: str, name: str, number: int) -> bytes:
        subject = self._subjects.chunk(worker, name, number)
        async with _translated(subject):
            try:
                found: RawStreamMsg = await self._link.while_up(
                    self._link.streams().get_msg(self._subjects.store, subject=subject, direct=True)
                )
            except NotFoundError as error:
                raise ChunkLostError(subject) from error
        return found.data or b""


class _translated:  # noqa: N801 (reads as a statement)
    def __init__(self, what: str) -> None:
        self._what = what

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError | nats.errors.Error | StreamError):
            raise LinkDownError(f"{self._what}: {error or 'no answer'}") from error
