"""From an outbox on our disk to the dispatcher: again and again, until its table holds what lies there."""

from __future__ import annotations

import asyncio
import logging

from bot.dispatch.outbox import DamagedEntryError, Outbox
from bot.dispatch.sparing import Sparing
from bot.dispatch.transport import OnMessage
from gpu_worker.protocol import messages as m

__all__ = ["Deliveries", "Durable"]

log = logging.getLogger(__name__)

Durable = m.Done | m.Failed | m.Cancelled | m.Paused | m.Partial


class Deliveries:
    def __init__(self, outbox: Outbox, on_message: OnMessage) -> None:
        self._outbox = outbox
        self._on_message = on_message
        self._sparing = Sparing()
        self._under_way: dict[tuple[str, str, int, int | None], asyncio.Event] = {}

    async def deliver_box(self, name: str | None = None) -> None:
        """Whatever lies in one worker's box, or in any: a worker that is no longer configured may have left results."""
        for entry in await asyncio.to_thread(self._outbox.entries, name):
            try:
                message = await asyncio.to_thread(self._outbox.read, entry)
            except FileNotFoundError:
                continue  # delivered meanwhile
            except DamagedEntryError:
                if self._sparing.may(entry.parent.name):
                    log.exception("outbox entry %s is damaged; it is set aside", entry.name)
                await asyncio.to_thread(self._outbox.set_aside, entry)
            except OSError:
                log.exception("outbox entry %s cannot be read now; it is tried again", entry.name)
            else:
                await self.deliver(message)

    async def deliver(self, message: Durable) -> None:
        """Returns when the dispatcher has dealt with it, by this call or by one that is under way already."""
        part = message.n if isinstance(message, m.Partial) else None
        key = (message.worker, message.job, message.attempt, part)
        if (other := self._under_way.get(key)) is not None:
            await other.wait()
            return
        over = self._under_way[key] = asyncio.Event()
        try:
            await self._on_message(message)
        except Exception:
            # A full disk, most likely. The entry stays and is tried again; nothing is lost.
            log.exception("the %s of job %s could not be stored yet; it is tried again", message.t, message.job)
        finally:
            del self._under_way[key]
            over.set()
