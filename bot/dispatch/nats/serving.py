"""Hands chunks of inputs and models to machines that have a job for them, a few at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from nats.aio.msg import Msg
from pydantic import ValidationError

from bot.dispatch.entitled import Entitled
from bot.dispatch.outbox import Inputs
from bot.dispatch.sparing import Sparing
from gpu_worker.protocol.frames import FrameError, unpack
from gpu_worker.protocol.nats.link import Link, LinkDownError
from gpu_worker.protocol.nats.mail import GONE, HERE, ModelWanted, Wanted, parse_wanted
from gpu_worker.protocol.nats.subjects import CHUNK_BYTES, Subjects, inbox_of, is_worker_name, machine_and_card

__all__ = ["Serving"]

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Chunks that are read at once, of all machines."""
WAITING_MAX = 256
"""Requests of one machine; what is over gets no answer, and is asked for again."""


class Serving:
    def __init__(self, link: Link, subjects: Subjects, inputs: Inputs, reserved: Callable[[str], bool]) -> None:
        """`reserved`: as the transport has it."""
        self._link = link
        self._subjects = subjects
        self._inputs = inputs
        self._reserved = reserved
        self._entitled: Entitled | None = None
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, int] = {}
        self._sparing = Sparing()

    def open(self, entitled: Entitled) -> None:
        """Before that nobody is answered: who asks is told nothing wrong, and asks again."""
        self._entitled = entitled

    async def on_wanted(self, data: Msg) -> None:
        """Served beside each other."""
        worker = self._subjects.worker_of(data.subject)
        if self._entitled is None or not is_worker_name(worker) or self._reserved(worker):
            return
        machine, _ = machine_and_card(worker)
        # The answer has the bot's rights: at another's subject, or the broker's own, it could be an order.
        if not data.reply.startswith(f"{inbox_of(machine)}."):
            return
        if self._waiting.get(machine, 0) >= WAITING_MAX:
            return
        self._waiting[machine] = self._waiting.get(machine, 0) + 1
        task = asyncio.create_task(self._serve(machine, data, self._entitled), name=f"serve-{machine}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, machine: str, data: Msg, entitled: Entitled) -> None:
        try:
            answer = await self._answer(machine, data.data, entitled)
            with contextlib.suppress(LinkDownError):
                await self._link.send(data.reply, answer)
        except Exception:
            log.exception("a request of machine %s cannot be answered now", machine)
        finally:
            self._waiting[machine] -= 1
            if not self._waiting[machine]:
                del self._waiting[machine]

    async def _answer(self, machine: str, data: bytes, entitled: Entitled) -> bytes:
        try:
            found = await self._chunk(machine, parse_wanted(unpack(data)), entitled)
        except (FrameError, ValidationError, OSError) as error:
            log.debug("machine %s is given nothing: %s", machine, error)
            return GONE
        if found is None:
            if self._sparing.may(machine):
                log.warning("machine %s asks for what no job of it needs", machine)
            return GONE
        return HERE + found

    async def _chunk(self, machine: str, wanted: Wanted, entitled: Entitled) -> bytes | None:
        """Raises OSError where it is gone."""
        if isinstance(wanted, ModelWanted):
            path = await entitled.model(machine, wanted.sha256)
            if path is None:
                return None
            async with self._turn:
                return await asyncio.to_thread(_read, path, wanted.offset)
        if not await entitled.has_input(machine, wanted.ref):
            return None
        async with self._turn:
            return await asyncio.to_thread(self._inputs.read, wanted.ref, wanted.offset, CHUNK_BYTES)


def _read(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_BYTES)
