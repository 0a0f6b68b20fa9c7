"""What is looked up at each visit of Prometheus: the queue, the workers, their cards, the disk."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import discord
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.dispatch.dispatcher import Dispatcher
from bot.domain.job import JobStatus, Lane
from bot.storage.jobs import Jobs, QueueRow
from bot.studio.monitoring.health import gateway_closed
from bot.studio.operations.snapshot import WorkerLook

__all__ = ["Look", "LookCollector", "Looks", "count_queue"]

MIB = 2**20
LANES = (Lane.INTERACTIVE, Lane.BATCH, Lane.TRAINING)
"""Of what workers are given."""


@dataclass(frozen=True, slots=True)
class Look:
    """None is not known."""

    queue: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """How many jobs by lane and state."""
    oldest_s: dict[str, float] = field(default_factory=dict[str, float])
    workers: tuple[WorkerLook, ...] = ()
    gone: tuple[str, ...] = ()
    """Names of workers that were there since the start and are not now."""
    broker_up: bool | None = None
    """Whether the bot reaches the broker of remote workers; None where it has none."""
    gateway_up: bool = False
    latency_s: float | None = None
    disk_free_bytes: int | None = None
    database_bytes: int | None = None
    backed_up_at: float | None = None


class Looks:
    def __init__(
        self,
        *,
        client: discord.Client,
        jobs: Jobs,
        dispatcher: Dispatcher,
        data: Path,
        database_path: Path,
        backed_up_at: Callable[[], float | None],
        broker_up: Callable[[], bool] | None = None,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._dispatcher = dispatcher
        self._data = data
        self._database_path = database_path
        self._backed_up_at = backed_up_at
        self._broker_up = broker_up
        self._seen: dict[str, None] = {}

    async def look(self) -> Look:
        queue, oldest_s = count_queue(await self._jobs.queue(), time.time())
        workers = tuple(WorkerLook.of(view) for view in self._dispatcher.workers)
        self._seen |= {worker.name: None for worker in workers}
        for name in [name for name in self._seen if self._dispatcher.orders.dismisses(name)]:
            del self._seen[name]  # removed by an operator: nobody waits for it
        there = {worker.name for worker in workers}
        free, size = await asyncio.to_thread(_disk, self._data, self._database_path)
        latency = self._client.latency if not self._client.is_closed() else float("nan")
        return Look(
            queue=queue,
            oldest_s=oldest_s,
            workers=workers,
            gone=tuple(name for name in self._seen if name not in there),
            broker_up=self._broker_up() if self._broker_up else None,
            gateway_up=gateway_closed(self._client) is None,
            latency_s=latency if 0 <= latency < float("inf") else None,
            disk_free_bytes=free,
            database_bytes=size,
            backed_up_at=self._backed_up_at(),
        )


def count_queue(rows: Iterable[QueueRow], now: float) -> tuple[dict[tuple[str, str], int], dict[str, float]]:
    """How many jobs by lane and state, and how old the oldest of each lane is that waits and may be drawn."""
    counts = {(lane.value, state): 0 for lane in LANES for state in ("waiting", "paused", "running")}
    oldest: dict[str, float] = {lane.value: 0.0 for lane in LANES}
    for row in rows:
        if row.lane not in LANES:
            continue  # a script, whose sheets are here
        state = "running" if row.status is JobStatus.ASSIGNED else "paused" if row.held else "waiting"
        counts[row.lane.value, state] += 1
        if state == "waiting":
            oldest[row.lane.value] = max(oldest[row.lane.value], now - row.created_at)
    return counts, oldest


class LookCollector(Collector):
    """The last look as Prometheus' families."""

    def __init__(self) -> None:
        self.look = Look()

    def describe(self) -> Iterable[Metric]:
        """Names without looking, for the registry's check that none is taken twice."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        yield from _queue(self.look)
        yield from _workers(self.look)
        yield from _machine(self.look)


def _queue(look: Look) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("pincel_queue_jobs", "Jobs that are not drawn yet.", labels=["lane", "state"])
    for key, count in look.queue.items():
        jobs.add_metric(key, count)
    oldest = GaugeMetricFamily("pincel_queue_oldest_seconds", "How long the oldest has waited.", labels=["lane"])
    for lane, seconds in look.oldest_s.items():
        oldest.add_metric([lane], seconds)
    yield jobs
    yield oldest


_OF_WORKERS: Sequence[tuple[str, str, Callable[[WorkerLook], float | None]]] = (
    ("pincel_worker_busy", "Whether it holds a job.", lambda one: one.busy),
    ("pincel_worker_draining", "Whether it takes no further jobs.", lambda one: one.draining),
    ("pincel_worker_usable", "Whether it speaks the bot's protocol.", lambda one: one.compatible),
    ("pincel_gpu_temperature_celsius", "Of the card.", lambda one: one.temperature_c),
    ("pincel_gpu_utilisation_ratio", "Of the card, 0 to 1.", lambda one: _scaled(one.utilisation_pct, 0.01)),
    ("pincel_gpu_power_watts", "What the card draws.", lambda one: one.power_w),
    ("pincel_gpu_memory_bytes", "Of the card.", lambda one: _scaled(one.vram_mb or None, MIB)),
    ("pincel_gpu_memory_free_bytes", "Of the card.", lambda one: _scaled(one.vram_free_mb, MIB)),
)


def _workers(look: Look) -> Iterator[Metric]:
    up = GaugeMetricFamily("pincel_worker_up", "0: it was there and is gone.", labels=["worker"])
    info = InfoMetricFamily("pincel_worker", "Its card, its version and what is loaded.", labels=["worker"])
    for worker in look.workers:
        up.add_metric([worker.name], 1)
        info.add_metric([worker.name], {"gpu": worker.gpu, "version": worker.version, "loaded": worker.loaded or ""})
    for name in look.gone:
        up.add_metric([name], 0)
    yield up
    yield info
    for name, text, value_of in _OF_WORKERS:
        family = GaugeMetricFamily(name, text, labels=["worker"])
        for worker in look.workers:
            value = value_of(worker)
            if value is not None:
                family.add_metric([worker.name], value)
        yield family


def _machine(look: Look) -> Iterator[Metric]:
    for name, text, value in (
        ("pincel_broker_up", "Whether the broker of remote workers is reached.", look.broker_up),
        ("pincel_gateway_up", "Whether Discord's gateway is connected.", float(look.gateway_up)),
        ("pincel_gateway_latency_seconds", "Between a heartbeat and its answer.", look.latency_s),
        ("pincel_disk_free_bytes", "Where PINCEL_DATA is.", look.disk_free_bytes),
        ("pincel_database_bytes", "Of the database and what is not folded into it yet.", look.database_bytes),
        ("pincel_backup_timestamp_seconds", "When the newest backup was made.", look.backed_up_at),
    ):
        family = GaugeMetricFamily(name, text)
        if value is not None:
            family.add_metric([], value)
        yield family


def _scaled(value: int | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _disk(data: Path, database: Path) -> tuple[int | None, int | None]:
    try:
        free: int | None = shutil.disk_usage(data).free
    except OSError:
        free = None
    size = 0
    for path in (database, database.with_name(database.name + "-wal")):
        try:
            size += path.stat().st_size
        except OSError:
            continue
    return free, size or None
