"""What a live panel shows, gathered from the table, the dispatcher and the workers' heartbeats."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.delivery.machine import Machine, MachineState
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.standing import Standing
from bot.dispatch.workers import WorkerView
from bot.domain.ids import JobId
from bot.domain.job import Job, JobStatus, Lane
from bot.domain.queue_rules import ALL_SERVERS, GateState
from bot.storage.administration import AdminAudit, AdminEntry, LivePanel
from bot.storage.jobs import Jobs
from bot.storage.queue_gates import QueueGates
from bot.storage.usage import Usage
from bot.studio.operations.sight import PromptSight

__all__ = ["LINES_SHOWN", "QueueLine", "QueueLook", "QueueLooks", "WorkerLook"]

LINES_SHOWN = 12
LISTED = 25
"""Of a list in Discord."""
BUSY_SINCE_S = 24 * 3600.0
BUSY_FRESH_S = 30.0
LAST_READ, LAST_SHOWN = 12, 3
_OPERATORS = frozenset({"backup", "prompt_log"})


@dataclass(frozen=True, slots=True)
class WorkerLook:
    """None is not known: no card, or nothing on its machine tells."""

    name: str
    gpu: str
    loaded: str | None
    vram_mb: int
    vram_free_mb: int | None
    temperature_c: int | None
    utilisation_pct: int | None
    power_w: int | None
    busy: bool
    compatible: bool
    version: str = ""
    draining: bool = False

    @classmethod
    def of(cls, view: WorkerView) -> WorkerLook:
        beat = view.beat
        return cls(
            name=view.name,
            gpu=view.hello.gpu,
            loaded=view.loaded,
            vram_mb=view.hello.vram_mb,
            vram_free_mb=beat.vram_free_mb if beat else None,
            temperature_c=beat.temperature_c if beat else None,
            utilisation_pct=beat.utilisation_pct if beat else None,
            power_w=beat.power_w if beat else None,
            busy=bool(view.assigned),
            compatible=view.compatible,
            version=view.hello.app_version,
            draining=view.compatible and not view.takes_work,
        )


@dataclass(frozen=True, slots=True)
class QueueLine:
    job: Job
    standing: Standing | None
    private: bool
    """Its prompt is not shown: nobody else's business, or from a channel that not all who see this may see."""
    server: str = ""
    """Its server's name, where several are shown."""


@dataclass(frozen=True, slots=True)
class QueueLook:
    guild_id: int | None
    """None: all servers."""
    state: GateState
    """Of the part that is shown."""
    state_all: GateState
    """The operator's word, which holds beside it."""
    machine: MachineState
    running: int
    waiting: int
    lines: tuple[QueueLine, ...]
    """At most 25, what is drawn first."""
    workers: tuple[WorkerLook, ...]
    busiest: tuple[tuple[int, float], ...]
    disk_free_bytes: int | None
    """For operators alone, as is the backup."""
    backed_up_at: float | None = None
    last: tuple[AdminEntry, ...] = ()
    """What admins did here lately, newest first."""


class QueueLooks:
    def __init__(
        self,
        *,
        jobs: Jobs,
        dispatcher: Dispatcher,
        gates: QueueGates,
        usage: Usage,
        machine: Machine,
        data: Path,
        audit: AdminAudit,
        sight: PromptSight,
        server_name: Callable[[int], str],
        backed_up_at: Callable[[], float | None],
    ) -> None:
        self._audit = audit
        self._sight = sight
        self._server_name = server_name
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._gates = gates
        self._usage = usage
        self._machine = machine
        self._data = data
        self._backed_up_at = backed_up_at
        self._busy: dict[int | None, tuple[float, tuple[tuple[int, float], ...]]] = {}

    async def look(self, panel: LivePanel) -> QueueLook:
        guild_id = panel.guild_id or None
        standings = await self._dispatcher.standings()
        rows = [row for row in await self._jobs.queue() if guild_id is None or row.guild_id == guild_id]
        # Trainings, which have a line of their own, stand behind all others.
        order = sorted(rows, key=lambda row: (row.lane is Lane.TRAINING, _place(standings, row.id)))
        lines: list[QueueLine] = []
        private = await self._jobs.private_among([row.id for row in order[:LISTED]])
        for row in order[:LISTED]:
            job = await self._jobs.get(row.id)
            if job is not None and job.status.waiting:
                server = self._server_name(job.guild_id) if guild_id is None and job.guild_id is not None else ""
                seen = self._sight.shows(job.channel_id, panel.posted_in, panel.channel_id)
                lines.append(QueueLine(job, standings.get(row.id), job.id in private or not seen, server))
        running = sum(
            row.status is JobStatus.ASSIGNED and _place(standings, row.id) == 0 for row in rows
        )  # what a worker only holds still waits
        return QueueLook(
            guild_id=guild_id,
            state=self._gates.of(guild_id),
            state_all=self._gates.of(ALL_SERVERS),
            machine=self._machine.state,
            running=running,
            waiting=len(rows) - running,
            lines=tuple(lines),
            workers=tuple(WorkerLook.of(view) for view in self._dispatcher.workers),
            busiest=await self._busiest(guild_id),
            disk_free_bytes=await asyncio.to_thread(_free, self._data) if guild_id is None else None,
            backed_up_at=self._backed_up_at() if guild_id is None else None,
            last=tuple(await self._last(guild_id)),
        )

    async def _last(self, guild_id: int | None) -> list[AdminEntry]:
        """What the operator does for all servers is no server's news."""
        entries = await self._audit.last(guild_id, LAST_READ)
        return [one for one in entries if guild_id is None or one.action not in _OPERATORS][:LAST_SHOWN]

    async def _busiest(self, guild_id: int | None) -> tuple[tuple[int, float], ...]:
        now = time.monotonic()
        at, known = self._busy.get(guild_id, (-BUSY_FRESH_S, ()))
        if now - at >= BUSY_FRESH_S:
            known = tuple(await self._usage.busiest(time.time() - BUSY_SINCE_S, guild_id))
            self._busy[guild_id] = (now, known)
        return known


def _place(standings: Mapping[JobId, Standing], job_id: JobId) -> int:
    standing = standings.get(job_id)
    return standing.position if standing is not None else 1_000_000


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
