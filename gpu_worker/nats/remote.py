"""Wires engine, server and the connection to the broker for a worker on another machine."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from gpu_worker.embedded import CANNOT_START, Served, app_version, engine_served, set_up_logging
from gpu_worker.engine.options import EngineOptions
from gpu_worker.nats.transport import NatsWorkerTransport, WorkerTimes
from gpu_worker.protocol.nats.link import LinkTimes
from gpu_worker.protocol.nats.subjects import Subjects
from gpu_worker.server import HANG_GRACE_S, ORPHAN_GRACE_S, Server

__all__ = ["run_remote", "serve_remote"]

log = logging.getLogger(__name__)

OUTBOX = "remote-outbox"
"""In the data folder; not `outbox`, which a bot on the same machine takes for its own workers'."""


def run_remote(
    name: str,
    data_dir: Path,
    demo_dir: Path,
    options: EngineOptions,
    url: str,
    more: Sequence[Path] = (),
    lanes: tuple[str, ...] = (),
) -> int:
    """`lanes`: the only ones that this worker is for; empty: all."""
    set_up_logging(name)
    return serve_remote(
        name, data_dir / OUTBOX, lambda: engine_served(data_dir, demo_dir, options, more, lanes), url
    )  # fmt: skip


def serve_remote(
    name: str,
    outbox: Path,
    start_engine: Callable[[], Served],
    url: str,
    *,
    subjects: Subjects | None = None,
    grace_s: float = ORPHAN_GRACE_S,
    hang_grace_s: float = HANG_GRACE_S,
    times: WorkerTimes | None = None,
    link_times: LinkTimes | None = None,
) -> int:
    """Serves the bot behind the broker until it is told to end (Ctrl-C, SIGTERM): then it finishes, for `grace_s`, what
    it draws. Returns the exit code."""
    outbox.mkdir(parents=True, exist_ok=True)
    lock = FileLock(outbox / f"{name}.lock")
    try:
        lock.acquire(timeout=grace_s)
    except Timeout:
        log.error("another worker %s works in this folder; give this one another name", name)
        return CANNOT_START
    try:
        served = start_engine()
    except Exception as error:
        log.exception("the engine cannot start")
        print(f"The engine cannot start: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT_START
    transport = NatsWorkerTransport(
        url, name, outbox / name, subjects=subjects, times=times, link_times=link_times
    )  # fmt: skip
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: transport.stop())
    Server(
        name=name, app_version=app_version(), engine=served.engine, transport=transport,
        cancelled_error=served.cancelled_error, engine_error=served.engine_error, tasks=served.tasks,
        orphan_grace_s=grace_s, hang_grace_s=hang_grace_s, sense=served.sense, addons=served.addons,
        looker=served.looker, lanes=served.lanes, forget=served.forget, kept=served.kept,
    ).run()  # fmt: skip
    transport.close()
    return 0
