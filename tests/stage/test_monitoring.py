"""/healthz, /readyz and /metrics of a bot that draws, fails, loses its worker and its disk."""

import re

import aiohttp
import pytest

from bot import exit_codes
from bot.dispatch.orders import Orders
from bot.dispatch.transport import WorkerGone
from bot.errors import StartupError
from bot.studio.monitoring.meters import Meters
from bot.studio.monitoring.parts import Monitoring
from tests.stage.keys_given import GivenKeys

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


class Prometheus:
    def __init__(self, session, monitoring):
        self._session = session
        self._base = "http://{}:{}".format(*monitoring.bound)

    async def ask(self, path):
        async with self._session.get(self._base + path) as answer:
            return answer.status, await answer.json()

    async def figures(self):
        async with self._session.get(self._base + "/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = await answer.text()
        return {
            (found[1], found[2] or ""): float(found[3])
            for found in map(SAMPLE.match, filter(lambda line: not line.startswith("#"), text.splitlines()))
        }


async def test_figures_and_readiness_follow_what_happens(make_stage):
    stage = await make_stage(metrics="127.0.0.1:0")
    async with stage.studio.monitoring as monitoring, aiohttp.ClientSession() as session:
        prometheus = Prometheus(session, monitoring)
        assert (await prometheus.ask("/healthz"))[1]["alive"] is True
        checks = {name: {"ok": True, "reason": None} for name in ("gateway", "database", "worker")}
        assert await prometheus.ask("/readyz") == (200, {"ready": True, "checks": checks})

        member = await stage.visitor()
        await member.imagine(prompt="a secret wish", seed=8, count=1)
        stage.painter.fail("oom")
        await member.slash("general", "imagine", {"prompt": "another wish", "count": 1})
        await stage.told()
        stage.painter.hold()
        await member.slash("general", "imagine", {"prompt": "a third wish", "count": 1})
        await stage.painter.asked(3)
        await monitoring.counted()

        seen = await prometheus.figures()
        assert seen["pincel_jobs_ended_total", 'end="done",lane="interactive"'] == 1
        assert seen["pincel_jobs_ended_total", 'end="failed",lane="interactive"'] == 1
        assert seen["pincel_job_failures_total", 'kind="oom"'] == 1
        assert seen["pincel_job_wait_seconds_count", 'lane="interactive"'] == 2
        assert seen["pincel_job_run_seconds_count", 'lane="interactive"'] == 1
        assert seen["pincel_delivery_seconds_count", ""] == 2
        assert seen["pincel_queue_jobs", 'lane="interactive",state="running"'] == 1
        assert seen["pincel_worker_up", 'worker="w1"'] == 1
        assert seen["pincel_worker_busy", 'worker="w1"'] == 1
        assert seen["pincel_worker_draining", 'worker="w1"'] == 0
        assert seen["pincel_gateway_up", ""] == 1
        assert ("pincel_broker_up", "") not in seen
        assert seen["pincel_discord_requests_total", 'status="2xx"'] > 0
        assert seen["pincel_database_write_seconds_count", ""] > 0
        assert seen["pincel_disk_free_bytes", ""] > 0
        labels = {name for _, pairs in seen for name in re.findall(r'(\w+)="', pairs)}
        assert labels <= {"lane", "state", "end", "kind", "status", "worker", "gpu", "version", "loaded", "le"}
        assert not any("wish" in pairs or str(stage.guild_id) in pairs for _, pairs in seen)

        stage.painter.release()
        await stage.told()
        await stage.studio.dispatcher.on_gone(WorkerGone("w1", "for the test"))
        status, said = await prometheus.ask("/readyz")
        assert (status, said["ready"]) == (503, False)
        assert said["checks"]["worker"] == {"ok": False, "reason": "starting"}
        assert said["checks"]["database"]["ok"]
        assert (await prometheus.figures())["pincel_worker_up", 'worker="w1"'] == 0

        again = Monitoring(
            client=stage.bot,
            settings=stage.settings.model_copy(update={"metrics": "{}:{}".format(*monitoring.bound)}),
            meters=Meters(),
            kept=stage.studio._kept,
            line=stage.studio._line,
            backed_up_at=lambda: None,
        )
        with pytest.raises(StartupError, match="PINCEL_METRICS") as taken:
            await again.__aenter__()
        assert taken.value.exit_code == exit_codes.SETTINGS
    assert stage.studio._kept.database.on_write is None


async def test_a_machine_that_was_removed_is_not_missed(make_stage):
    stage = await make_stage(metrics="127.0.0.1:0")
    async with stage.studio.monitoring as monitoring, aiohttp.ClientSession() as session:
        prometheus = Prometheus(session, monitoring)
        assert ("pincel_worker_up", 'worker="w1"') in await prometheus.figures()
        await stage.studio.dispatcher.obey(Orders(dismissed=frozenset({"w1"})))
        assert ("pincel_worker_up", 'worker="w1"') not in await prometheus.figures()


async def test_a_broker_that_is_away_is_a_figure(make_stage):
    stage = await make_stage(metrics="127.0.0.1:0")
    stage.keys = GivenKeys()
    await stage.restart()
    async with stage.studio.monitoring as monitoring, aiohttp.ClientSession() as session:
        prometheus = Prometheus(session, monitoring)
        assert (await prometheus.figures())["pincel_broker_up", ""] == 1
        stage.painter.connected = False
        assert (await prometheus.figures())["pincel_broker_up", ""] == 0
