"""One worker as the transport hears it: its words in their order, and its mail beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from pydantic import ValidationError

from bot.dispatch.nats.ear import Ear
from bot.dispatch.sparing import Sparing
from bot.dispatch.transport import OnMessage
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import FrameError, unpack
from gpu_worker.protocol.nats.subjects import Entry

__all__ = ["Peer"]

log = logging.getLogger(__name__)

WAITING_MAX = 1000
MAIL_FIRST_S = 10.0
"""How long a restarted worker's mail may keep its first word waiting."""


class Peer:
    def __init__(
        self,
        name: str,
        *,
        ear: Ear,
        on_message: OnMessage,
        collect: Callable[[str], Awaitable[None]],
        landing: Callable[[], Entry | None],
        retry_s: float,
    ) -> None:
        """`collect` takes over the mail of this worker, `landing` says which end is on its way just now."""
        self.name = name
        self._ear = ear
        self._sparing = Sparing()
        self._on_message = on_message
        self._collect = collect
        self._landing = landing
        self._retry_s = retry_s
        self._boot = ""
        self._words: asyncio.Queue[m.ToBot] = asyncio.Queue(WAITING_MAX)
        self._mail = asyncio.Event()
        self._tasks = (
            asyncio.create_task(self._listen_forever(), name=f"peer-{name}"),
            asyncio.create_task(self._collect_forever(), name=f"mail-{name}"),
        )

    def hear(self, data: bytes) -> None:
        """Lossy: of a worker that says more than can be handled the rest is left out."""
        try:
            body = self._ear.hears(self.name, data)
            if body is None:
                return
            message = m.parse_to_bot({**unpack(body), "worker": self.name})
        except (FrameError, ValidationError):
            self._complain("worker %s sent a message of unknown or malformed kind, ignored")
            return
        except ValueError:
            self._complain("worker %s says more than any worker has to say; what is too much is left out")
            return
        if isinstance(message, m.Done | m.Failed | m.Cancelled | m.Paused | m.Partial | m.AssignReply):
            return  # those have ways of their own
        with contextlib.suppress(asyncio.QueueFull):
            self._words.put_nowait(message)

    def _complain(self, what: str) -> None:
        if self._sparing.may(what):
            log.warning(what, self.name)

    def ring(self) -> None:
        """There may be mail."""
        self._mail.set()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen_forever(self) -> None:
        while True:
            message = await self._words.get()
            try:
                if isinstance(message, m.Hello) and message.boot != self._boot:
                    self._boot = message.boot
                    await self._mail_first()
                await self._on_message(self._with_landing(message))
            except Exception:
                log.exception("message %s of worker %s could not be handled", message.t, self.name)

    async def _mail_first(self) -> None:
        """What an earlier life left counts before this one's word about what it runs."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(MAIL_FIRST_S):
                await asyncio.shield(asyncio.ensure_future(self._collect(self.name)))

    def _with_landing(self, message: m.ToBot) -> m.ToBot:
        """The worker is done with what we are still taking over: until we are, it counts as its own."""
        entry = self._landing()
        if entry is None or not isinstance(message, m.Hello | m.Heartbeat):
            return message
        if any((held.job, held.attempt) == (entry.job, entry.attempt) for held in message.running):
            return message
        held = m.Running(job=entry.job, attempt=entry.attempt, phase="storing")
        return message.model_copy(update={"running": (*message.running, held)})

    async def _collect_forever(self) -> None:
        while True:
            await self._mail.wait()
            self._mail.clear()
            try:
                await self._collect(self.name)
            except OSError as error:
                log.info("mail of worker %s stays where it is for now: %s", self.name, error)
                await asyncio.sleep(self._retry_s)
                self._mail.set()
            except Exception:
                log.exception("mail of worker %s cannot be collected; it is tried again", self.name)
                await asyncio.sleep(self._retry_s)
                self._mail.set()
