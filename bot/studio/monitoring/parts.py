"""Serves /healthz, /readyz and /metrics, and has the parts of the bot counted while it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import discord
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from bot import exit_codes
from bot.domain.ids import JobId
from bot.errors import StartupError
from bot.operator_language import operator_texts
from bot.settings import Settings, is_loopback, split_address
from bot.storage.job_times import JobTime, JobTimes
from bot.studio.monitoring.health import Readiness
from bot.studio.monitoring.looks import LookCollector, Looks
from bot.studio.monitoring.meters import Meters
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.line import LineParts

__all__ = ["Monitoring"]

log = logging.getLogger(__name__)

LAG_EVERY_S = 0.5
WAITING_MAX = 10_000
"""Ended jobs that are not counted yet; a counter that is behind must not take the bot's memory."""


class Monitoring:
    """As a context: it serves while it is open. Nothing is counted before."""

    def __init__(
        self,
        *,
        client: discord.Client,
        settings: Settings,
        meters: Meters,
        kept: Kept,
        line: LineParts,
        backed_up_at: Callable[[], float | None],
        broker_up: Callable[[], bool] | None = None,
    ) -> None:
        """`broker_up` where remote workers can join: whether their broker is reached."""
        self._meters = meters
        self._address = settings.metrics
        self._kept = kept
        self._line = line
        self._times = JobTimes(kept.database)
        self._readiness = Readiness(client=client, facts=kept.facts, machine=line.machine)
        self._looks = Looks(
            client=client,
            jobs=kept.jobs,
            dispatcher=line.dispatcher,
            data=settings.data,
            database_path=settings.database_path,
            backed_up_at=backed_up_at,
            broker_up=broker_up,
        )
        self._collector = LookCollector()
        meters.registry.register(self._collector)
        self._turn = asyncio.Lock()
        self._over: asyncio.Queue[tuple[JobId, Callable[[JobTime], None]]] = asyncio.Queue(WAITING_MAX)
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._started = time.monotonic()

    @property
    def bound(self) -> tuple[str, int]:
        """Where it is to be asked: host and port."""
        assert self._runner is not None, "it serves"
        return self._runner.addresses[0][:2]

    async def __aenter__(self) -> Self:
        """Raises StartupError where the address cannot be had."""
        address = split_address(self._address)
        assert address is not None, "settings refuse anything else"
        app = web.Application()
        app.add_routes([
            web.get("/healthz", self._alive),
            web.get("/readyz", self._ready),
            web.get("/metrics", self._figures),
        ])  # fmt: skip
        self._runner = runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, *address).start()
        except OSError as error:
            await runner.cleanup()
            say, reason = operator_texts(), error.strerror or str(error)
            values = {"address": self._address, "reason": reason}
            sentence, fix = (say(f"startup.metrics_port.{part}", **values) for part in ("sentence", "fix"))
            raise StartupError(sentence, fix, exit_codes.SETTINGS) from error
        log.info("health checks and figures are at port %s of %s", self.bound[1], address[0])
        if not is_loopback(address[0]):
            log.warning("PINCEL_METRICS=%s: whoever reaches this address can read how the bot is doing", self._address)
        self._kept.database.on_write = self._meters.wrote
        self._line.relay.also.append(self._ended)
        self._line.deliverer.delivered = self._told
        self._tasks = [
            asyncio.create_task(self._count(), name="metrics-jobs"),
            asyncio.create_task(self._feel_lag(), name="metrics-lag"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.database.on_write = self._line.deliverer.delivered = None
        self._line.relay.also.remove(self._ended)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    # --- asked --------------------------------------------------------------------------------------------------------

    async def _alive(self, request: web.Request) -> web.Response:
        return web.json_response({"alive": True, "up_s": round(time.monotonic() - self._started, 1)})

    async def _ready(self, request: web.Request) -> web.Response:
        found = await self._readiness.reasons()
        ready = not any(found.values())
        checks = {name: {"ok": reason is None, "reason": reason} for name, reason in found.items()}
        return web.json_response({"ready": ready, "checks": checks}, status=200 if ready else 503)

    async def _figures(self, request: web.Request) -> web.Response:
        async with self._turn:
            self._collector.look = await self._looks.look()
            body = generate_latest(self._meters.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    # --- counting -----------------------------------------------------------------------------------------------------

    def _ended(self, job_id: JobId) -> None:
        self._later(job_id, self._meters.ended)

    def _told(self, job_id: JobId) -> None:
        self._later(job_id, self._meters.told)

    def _later(self, job_id: JobId, count: Callable[[JobTime], None]) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._over.put_nowait((job_id, count))

    async def counted(self) -> None:
        """Waits until everything that has ended so far is counted."""
        await self._over.join()

    async def _count(self) -> None:
        while True:
            job_id, count = await self._over.get()
            try:
                job = await self._times.of(job_id)
                if job is not None:
                    count(job)
            except Exception:
                log.exception("job %s was not counted", job_id)
            finally:
                self._over.task_done()

    async def _feel_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._meters.lagged(max(0.0, loop.time() - due))
