"""Wires engine, server and pipe transport for the child process of a bot."""

from __future__ import annotations

import logging
import signal
import sys
from importlib import metadata
from pathlib import Path

from filelock import FileLock, Timeout

from gpu_worker.server import ORPHAN_GRACE_S, Server
from gpu_worker.transport import PipeWorkerTransport

__all__ = ["app_version", "run_check", "run_embedded"]

log = logging.getLogger(__name__)

CANNOT_START = 75


def app_version() -> str:
    try:
        return metadata.version("pincel")
    except metadata.PackageNotFoundError:
        return "0.1.0"  # run from the checkout, not installed


def _set_up_logging() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )


def run_embedded(name: str, data_dir: Path, demo_dir: Path, device: str | None, frames_fd: int) -> int:
    _set_up_logging()
    # Ctrl-C in the bot's terminal is the bot's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outbox = data_dir / "outbox"
    outbox.mkdir(parents=True, exist_ok=True)
    # A worker whose bot was killed may still be finishing a picture on this card: wait for it instead of doubling it.
    lock = FileLock(outbox / f"{name}.lock")
    try:
        lock.acquire(timeout=ORPHAN_GRACE_S + 15)
    except Timeout:
        log.error("an older worker %s does not end; stop its process by hand", name)
        return CANNOT_START
    try:
        from gpu_worker.engine.engine import DrawingCancelled, Engine, EngineError

        engine = Engine(models_dir=data_dir / "models", demo_dir=demo_dir, device=device)
    except Exception as error:
        log.exception("the engine cannot start")
        print(f"The engine cannot start: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT_START
    transport = PipeWorkerTransport(name, outbox, sys.stdin.buffer, frames_fd)
    Server(
        name=name, app_version=app_version(), engine=engine, transport=transport,
        cancelled_error=DrawingCancelled, engine_error=EngineError,
    ).run()  # fmt: skip
    return 0


def run_check(data_dir: Path, demo_dir: Path, device: str | None) -> int:
    _set_up_logging()
    try:
        from gpu_worker.engine.engine import Engine

        engine = Engine(models_dir=data_dir / "models", demo_dir=demo_dir, device=device)
        names = [fact.name for fact in engine.facts() if fact.kind == "checkpoint" and not fact.problem]
    except Exception as error:
        print(f"The engine cannot start: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT_START
    print(f"{engine.device_name}: {', '.join(names)}", file=sys.stderr)  # noqa: T201
    return 0
