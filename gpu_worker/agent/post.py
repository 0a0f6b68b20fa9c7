"""A worker's end of the way to the bot: commands come, words and results go. All of it on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from nats.aio.msg import Msg

from gpu_worker.agent.times import AgentTimes
from gpu_worker.agent.uploads import Uploads
from gpu_worker.events import PendingEvents
from gpu_worker.outbox import End, WorkerOutbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import FrameError, pack, unpack
from gpu_worker.protocol.nats.link import Link, LinkDownError
from gpu_worker.protocol.nats.mail import Landed
from gpu_worker.protocol.nats.pieces import Joiner, pieces
from gpu_worker.protocol.nats.subjects import Entry, Subjects
from gpu_worker.protocol.outbox import fin_name
from gpu_worker.protocol.specs import Wire
from gpu_worker.transport import refusal

__all__ = ["OnCommand", "Post"]

log = logging.getLogger(__name__)

OnCommand = Callable[[m.ToWorker], Awaitable[m.AssignReply | None]]
"""The answer, to an assignment."""


class Post:
    def __init__(
        self, link: Link, subjects: Subjects, worker: str, box: Path, on_command: OnCommand, times: AgentTimes
    ) -> None:
        """`box`: where a child of this worker leaves its results."""
        self._link = link
        self._subjects = subjects
        self._worker = worker
        self._on_command = on_command
        self._times = times
        self._outbox = WorkerOutbox(box, shared=True)
        self._uploads = Uploads(
            link, subjects, worker, self._outbox, retry_s=times.retry_s, resend_s=times.resend_s
        )  # fmt: skip
        self._joiner = Joiner()
        self._wake = asyncio.Event()
        self._events = PendingEvents(self._wake.set)
        self._talking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Results of earlier lives are on their way from here on."""
        await self.deliver_all()
        await self._link.subscribe(self._subjects.commands(self._worker), self._on_data)
        self._link.on_up(self._wake.set)
        self._talking = asyncio.create_task(self._talk(), name=f"talk-{self._worker}")

    async def close(self) -> None:
        """Bounded by whoever calls: until all results are at the broker. What is not goes at the next start."""
        try:
            await self._uploads.stored_all()
        finally:
            if self._talking is not None:
                with contextlib.suppress(LinkDownError):
                    await self._say(self._events.take())
            self.cancel()

    def cancel(self) -> None:
        """At once."""
        if self._talking is not None:
            self._talking.cancel()
        self._uploads.cancel()

    # --- words, which may be lost -------------------------------------------------------------------------------------

    def say(self, message: Wire) -> None:
        """The newest progress of a job, and the newest heartbeat, replace older ones that were not sent yet."""
        self._events.put(message)

    async def _talk(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._link.connected and (batch := self._events.take()):
                try:
                    await self._say(batch)
                except LinkDownError as error:
                    log.debug("not said: %s", error)  # newer words follow
                except Exception:
                    log.exception("words of %s could not be said; newer ones follow", self._worker)
                    await asyncio.sleep(self._times.retry_s)

    async def _say(self, batch: list[Wire]) -> None:
        for message in batch:
            try:
                await self._link.say(self._subjects.events(self._worker), message)
            except (ValueError, TypeError):
                log.exception("a message cannot be sent and is left out")
        await self._link.flush()

    # --- results, which are not ---------------------------------------------------------------------------------------

    def deliver(self, entry: str) -> None:
        """What a child has put into the outbox."""
        self._uploads.add(entry)

    async def deliver_all(self) -> list[str]:
        """Names of all entries that lie there."""
        entries = await asyncio.to_thread(self._outbox.entries)
        for entry in entries:
            self._uploads.add(entry, again=False)
        return entries

    async def end(self, end: End) -> None:
        """Of an attempt that left no result; durable when it returns, and tried until then."""
        while True:
            try:
                await asyncio.to_thread(self._outbox.store, end, ())
                break
            except OSError as error:
                log.warning("the end of job %s cannot be written yet: %s", end.job, error)
                await asyncio.sleep(self._times.retry_s)
        self._events.drop_progress(end.job)
        self.deliver(fin_name(end.job, end.attempt))

    def over(self, job: str) -> None:
        """Its end is told: no older word may follow it."""
        self._events.drop_progress(job)

    async def all_stored(self) -> None:
        await self._uploads.stored_all()

    def unstored(self) -> list[Entry]:
        """Ends of attempts that the broker has not got yet: for the bot they are still this worker's."""
        return self._uploads.unstored()

    # --- commands -----------------------------------------------------------------------------------------------------

    async def _on_data(self, data: Msg) -> None:
        body = self._joiner.add(data.data)
        if body is None:
            return
        try:
            raw = unpack(body)
        except FrameError:
            log.warning("what is no message came from the bot, ignored")
            return
        if raw.get("t") == "landed":
            with contextlib.suppress(ValueError):
                self._uploads.landed(Landed.model_validate(raw))
            return
        try:
            message = m.parse_to_worker(raw)
        except ValueError:
            log.warning("command %.40r is unknown or malformed, ignored", raw.get("t"))
            reply = refusal(raw)
        else:
            reply = await self._on_command(message)
        if reply is not None and data.reply:
            for piece in pieces(pack(reply), 0):
                await self._link.send(data.reply, piece)
