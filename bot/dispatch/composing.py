"""What a worker is told of a job: the spec with its pictures where they can be read, parts, and the files it needs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from bot.dispatch.leases import Leases
from bot.dispatch.needs import ModelNeeds, NeededFile
from bot.dispatch.settle import Settler
from bot.dispatch.sources import SpecResolver
from bot.dispatch.transport import BotTransport
from bot.domain.job import Job
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Sheet

__all__ = ["NO_PREVIEW", "Composer"]

NO_PREVIEW = m.PreviewWish(hz=0.0)


class Composer:
    def __init__(
        self,
        transport: BotTransport,
        leases: Leases,
        *,
        resolver: SpecResolver,
        settler: Settler,
        needs: ModelNeeds | None,
    ) -> None:
        self._transport = transport
        self._leases = leases
        self._resolver = resolver
        self._settler = settler
        self._needs = needs

    async def compose(
        self, job: Job, worker: str, preview: m.PreviewWish = NO_PREVIEW, *, fetches: bool
    ) -> tuple[m.Assign, Sequence[NeededFile]]:
        """With the files that a worker which fetches has to have. Raises OSError where that cannot be told now,
        SourceGoneError, NotHashedError."""
        spec = await self._resolver.resolve(job)
        needs = await self._needs.of(spec) if fetches and self._needs is not None else ()
        message = m.Assign(
            worker=worker,
            job=job.id,
            attempt=job.attempt,
            lane=job.lane,
            model=job.model,
            spec=spec,
            resume=job.state,
            parts=await self._parts(job),
            needs=tuple(needed.ref for needed in needs),
            max_run_s=self._may_take_s(job),
            preview=preview,
        )
        return message, needs

    def _may_take_s(self, job: Job) -> float:
        if job.training is not None:  # without getting any further; all of it may take days
            return self._leases.max_step_s
        # A cell has the time that it would have by itself.
        return self._leases.max_run_s * (len(job.task.cells) if isinstance(job.task, Sheet) else 1)

    async def _parts(self, job: Job) -> tuple[m.KeptPart, ...]:
        """What earlier attempts finished. One that cannot be handed over is made again."""
        if self._settler.parts is None or job.attempt <= 1:
            return ()
        found: list[m.KeptPart] = []
        for part in await self._settler.parts.of_job(job.id):
            with contextlib.suppress(OSError):
                image = await self._transport.put_file(part.path, part.sha256, part.mime)
                found.append(m.KeptPart(n=part.n, image=image))
        return tuple(found)
