"""What is counted as it happens. No label may name a person, a server or anything that somebody wrote."""

from __future__ import annotations

import asyncio
import types
from typing import Any, get_args

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from bot.dispatch.verdicts import WITHHELD
from bot.storage.job_times import JobTime
from gpu_worker.protocol.messages import FailureKind

__all__ = ["Meters", "end_of"]

MINUTES = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200)
"""Of what people wait for."""
MOMENTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
KINDS = frozenset({*get_args(FailureKind), WITHHELD})
OTHER = "other"


class Meters:
    """One registry a bot, handed to whoever counts; nothing of it is shared by the process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._waits = Histogram(
            "pincel_job_wait_seconds", "From the request until a worker was given the job.", ["lane"],
            buckets=MINUTES, registry=registry,
        )  # fmt: skip
        self._runs = Histogram(
            "pincel_job_run_seconds", "How long finished jobs were drawn.", ["lane"], buckets=MINUTES, registry=registry
        )
        self._ended = Counter("pincel_jobs_ended", "Jobs that are over.", ["lane", "end"], registry=registry)
        self._failures = Counter("pincel_job_failures", "Jobs that failed.", ["kind"], registry=registry)
        self._deliveries = Histogram(
            "pincel_delivery_seconds", "From the end of a job until its user could see it.",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._writes = Histogram(
            "pincel_database_write_seconds", "Transactions that write, with their wait for the one before.",
            buckets=MOMENTS, registry=registry,
        )  # fmt: skip
        self._lag = Histogram(
            "pincel_event_loop_lag_seconds", "How late the bot's event loop woke up.", buckets=MOMENTS,
            registry=registry,
        )  # fmt: skip
        self._requests = Counter(
            "pincel_discord_requests", "Answers of Discord's, by class; 429 is a rate limit, lost is none.",
            ["status"], registry=registry,
        )  # fmt: skip
        self._answers = Histogram(
            "pincel_discord_request_seconds", "Until Discord answered.", buckets=SECONDS, registry=registry
        )

    def ended(self, job: JobTime) -> None:
        self._ended.labels(job.lane, end_of(job.status)).inc()
        if job.status == "failed":
            self._failures.labels(job.failure_kind if job.failure_kind in KINDS else OTHER).inc()
        if job.waited_s is not None:
            self._waits.labels(job.lane).observe(job.waited_s)
        if job.run_s is not None and end_of(job.status) == "done":
            self._runs.labels(job.lane).observe(job.run_s)

    def told(self, job: JobTime) -> None:
        if job.delivery_s is not None:
            self._deliveries.observe(job.delivery_s)

    def wrote(self, seconds: float) -> None:
        self._writes.observe(seconds)

    def lagged(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def rest_trace(self) -> aiohttp.TraceConfig:
        """For discord.py's session: it counts every answer to the bot's requests."""
        trace = aiohttp.TraceConfig()

        async def began(_session: aiohttp.ClientSession, context: types.SimpleNamespace, _told: Any) -> None:
            context.began = asyncio.get_running_loop().time()

        async def ended(
            _session: aiohttp.ClientSession, context: types.SimpleNamespace, told: aiohttp.TraceRequestEndParams
        ) -> None:
            status = told.response.status
            self._requests.labels("429" if status == 429 else f"{status // 100}xx").inc()
            if status >= 200:  # the gateway's socket is a request, too
                self._answers.observe(asyncio.get_running_loop().time() - context.began)

        async def lost(*_told: Any) -> None:
            self._requests.labels("lost").inc()

        trace.on_request_start.append(began)
        trace.on_request_end.append(ended)
        trace.on_request_exception.append(lost)
        return trace


def end_of(status: str) -> str:
    """`done`, `failed` or `cancelled`: whether it is delivered yet, too, is another question."""
    return status if status in ("failed", "cancelled") else "done"
