"""Results of remote workers, over a real broker: how fast they are on the bot's own disk and taken from there.

The broker and the worker are processes of their own; the bot's end is this one. The worker draws nothing: its results
lie in its outbox when the clock starts, which is where a child leaves them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.cpu import cpu_s
from bench.report import Figure
from bot.broker.program import BrokerProgram, find_program
from bot.dispatch.nats.transport import NatsTransport
from gpu_worker.protocol import messages as m

__all__ = ["can_be_measured", "measure", "own_broker"]

CHECKOUT = Path(__file__).parents[1]
WORKERS = 3
PICTURE_BYTES, PICTURES = 5_000_000, 40
SMALL_BYTES, SMALLS = 30_000, 400
START_S = 60.0
_CONFIGURATION = """
listen: 127.0.0.1:-1
jetstream {{ store_dir: "{folder}/store", sync_interval: always }}
"""


@dataclass(frozen=True)
class _Carried:
    wall_s: float
    bot_s: float
    worker_s: float
    broker_s: float
    """Processor time of each."""


class _Taker:
    """What the dispatcher does with an end, but for its table: looks at the bytes and lets go of the entry."""

    def __init__(self, transport: NatsTransport, wanted: int) -> None:
        self._transport = transport
        self._left = wanted
        self.all = asyncio.Event()

    async def on_message(self, message: m.ToBot) -> None:
        if not isinstance(message, m.Done):
            return
        for output in message.outputs:
            path = await self._transport.fetch(message, output)
            if await asyncio.to_thread(_digest, path) != output.sha256:
                raise RuntimeError(f"{output.blob} is not what was sent")
        await self._transport.settled(m.Settled(worker=message.worker, job=message.job, attempt=message.attempt))
        self._left -= 1
        if not self._left:
            self.all.set()

    async def on_gone(self, worker: str, why: object) -> None: ...


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.asynccontextmanager
async def own_broker(folder: Path) -> AsyncIterator[tuple[psutil.Process, str]]:
    """And its address. Raises RuntimeError."""
    program = find_program()
    if program is None:
        raise RuntimeError("there is no nats-server here (extra `broker`, or the system's package)")
    configuration, log_file = folder / "nats.conf", folder / "log"
    await asyncio.to_thread(configuration.write_text, _CONFIGURATION.format(folder=folder))
    broker = BrokerProgram(program, configuration, log_file=log_file)
    try:
        if not await broker.start() or broker.pid is None:
            raise RuntimeError("the broker did not start")
        yield psutil.Process(broker.pid), await asyncio.to_thread(_url, folder)
    finally:
        await broker.stop()


def _url(folder: Path) -> str:
    ports = next(folder.glob("*.ports"))
    return str(json.loads(ports.read_text())["nats"][0])


async def _carry(count: int, size: int) -> _Carried:
    with tempfile.TemporaryDirectory(prefix="pincel-bench-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        (root / "broker").mkdir()
        async with own_broker(root / "broker") as (broker, url):
            transport = NatsTransport(url, root=root / "landed")
            taker = _Taker(transport, count)
            await transport.start(taker.on_message, taker.on_gone)
            asked = map(str, (WORKERS, count, size))
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.mailbox_worker", url, str(root / "boxes"), *asked,
                cwd=CHECKOUT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )  # fmt: skip
            try:
                assert worker.stdin is not None
                assert worker.stdout is not None
                async with asyncio.timeout(START_S):
                    await worker.stdout.readline()
                watched = [psutil.Process(), psutil.Process(worker.pid), broker]
                before = [cpu_s(process) for process in watched]
                started = time.perf_counter()
                worker.stdin.write(b"go\n")
                async with asyncio.timeout(10 * START_S):
                    await taker.all.wait()
                wall_s = time.perf_counter() - started
                used = [cpu_s(process) - was for process, was in zip(watched, before, strict=True)]
                return _Carried(wall_s, *used)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    worker.kill()
                await worker.wait()
                await transport.stop()


def can_be_measured() -> bool:
    return find_program() is not None


async def measure() -> list[Figure]:
    topic = f"Results of {WORKERS} remote workers, from their disk until the bot has taken them"
    disk_s = await asyncio.to_thread(_write_twice)
    large = await _carry(PICTURES, PICTURE_BYTES)
    megabytes = PICTURES * PICTURE_BYTES / 1e6
    small = await _carry(SMALLS, SMALL_BYTES)
    figures = [
        Figure(topic, f"{PICTURES} of {PICTURE_BYTES / 1e6:g} MB: MB a second", megabytes / large.wall_s),
        Figure(topic, "this disk alone, the same written twice: MB a second", megabytes / disk_s),
    ]
    figures += _used(topic, "processor time of a MB", large, megabytes, 1000 / 80)
    figures.append(Figure(topic, f"{SMALLS} of {SMALL_BYTES / 1e3:g} kB: results a second", SMALLS / small.wall_s))
    return figures + _used(topic, "processor time of a small result", small, SMALLS, 10)


def _write_twice() -> float:
    """Seconds. The broker's disk and the bot's are the same here, and each keeps what it was sent before it says so."""
    with tempfile.TemporaryDirectory(prefix="pincel-bench-") as name:
        started = time.perf_counter()
        for n in range(2 * PICTURES):
            with (Path(name) / str(n)).open("wb") as file:
                file.write(b"\x5a" * PICTURE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        return time.perf_counter() - started


def _used(topic: str, name: str, carried: _Carried, count: float, goal_ms: float) -> list[Figure]:
    """The goal: none of the three keeps a core busy for longer than the rate that is asked for leaves it."""
    ends = (("bot", carried.bot_s), ("worker", carried.worker_s), ("broker", carried.broker_s))
    return [
        Figure(topic, f"{name}, {end}", used_s / count * 1000, "ms", goal=goal_ms, sense="<=") for end, used_s in ends
    ]
