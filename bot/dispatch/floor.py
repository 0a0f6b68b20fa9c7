"""What the dispatcher's parts share: what memory knows besides the table, and who is told of a change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from bot.dispatch.leases import Leases, Orphan
from bot.dispatch.orders import Orders
from bot.dispatch.policy import FairClock
from bot.dispatch.transport import BotTransport
from bot.dispatch.trust import Trust
from bot.dispatch.workers import Roster
from bot.domain.ids import JobId
from bot.domain.job import Job
from bot.storage.queue_gates import QueueGates
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Sheet

__all__ = ["PAUSE", "Floor", "Listener"]

PAUSE = "pause"
"""`Cancel.reason` that a worker which trains answers with `Paused`."""

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Told at once and must not block; the database already holds what is told."""

    def progressed(self, progress: m.Progress) -> None: ...
    def queue_changed(self) -> None: ...
    def ended(self, job_id: JobId) -> None: ...
    def saved(self, job_id: JobId, name: str) -> None: ...


class Floor:
    def __init__(
        self,
        *,
        transport: BotTransport,
        listener: Listener,
        leases: Leases,
        previews: Callable[[Job], Awaitable[m.PreviewWish]] | None,
        gates: QueueGates | None,
        clock: Callable[[], float],
    ) -> None:
        self.transport = transport
        self.listener = listener
        self.leases = leases
        self.previews = previews
        self.gates = gates
        self.clock = clock
        self.fair = FairClock()
        self.workers = Roster()
        self.orders = Orders()
        self.trust = Trust(clock)
        self.orphans: dict[JobId, Orphan] = {}
        self.unsettled: dict[JobId, float] = {}
        """Ends that were delivered and are not in the table yet, and since when."""
        self.cancelling: set[JobId] = set()
        self.pausing: set[JobId] = set()
        """Trainings that are to stop where they are and to go on later."""
        self.look_again_at: float | None = None
        """When a training may begin that nothing but a quiet while is missing to, or a worker that left its turn to a
        faster one is asked again."""
        self.passed_over_at: dict[JobId, float] = {}
        self.left_at: dict[JobId, float] = {}
        """Since when jobs are left to workers that would finish them sooner."""
        self.forget: Callable[[JobId], Coroutine[Any, Any, None]] | None = None
        """What is left of a job once it is over goes by this."""
        self.version = 0
        """Of what standings are made of."""
        self.wake = asyncio.Event()
        """There may be something to hand out."""
        self.sends: set[asyncio.Task[None]] = set()

    def spawn(self, send: Coroutine[Any, Any, None], name: str) -> None:
        """Not awaited: a worker that does not answer must not keep the others waiting."""
        task = asyncio.create_task(send, name=name)
        self.sends.add(task)
        task.add_done_callback(self.sends.discard)

    async def send_cancel(self, worker: str, job: str, attempt: int, reason: str) -> None:
        await self.transport.send(worker, m.Cancel(worker=worker, job=job, attempt=attempt, reason=reason))

    async def wish(self, job: Job) -> m.PreviewWish:
        # What a script shows is made of finished cells, and a training draws nothing.
        if isinstance(job.task, Sheet) or job.training is not None:
            return m.PreviewWish(hz=0.0)
        return m.PreviewWish() if self.previews is None else await self.previews(job)

    def holds(self, guild_id: int | None) -> bool:
        return self.gates is not None and self.gates.holds(guild_id)

    def end_is_under_way(self, job_id: JobId) -> bool:
        delivered_at = self.unsettled.get(job_id)
        return delivered_at is not None and self.clock() - delivered_at < self.leases.lease_s

    def changed(self) -> None:
        self.version += 1
        self.wake.set()
        self.tell(self.listener.queue_changed)

    def ended(self, job_id: JobId) -> None:
        self.cancelling.discard(job_id)
        self.pausing.discard(job_id)
        self.passed_over_at.pop(job_id, None)
        self.left_at.pop(job_id, None)
        self.trust.over(job_id)
        if self.forget is not None:
            self.spawn(self.forget(job_id), f"forget-{job_id}")
        self.changed()
        self.tell(self.listener.ended, job_id)

    def tell(self, what: Callable[..., None], *values: object) -> None:
        try:
            what(*values)
        except Exception:
            log.exception("a listener failed; the queue goes on")
