"""Wires engine, server and pipe transport for the child process of a bot."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from filelock import FileLock, Timeout

from gpu_worker.console import set_up_logging
from gpu_worker.engine.options import EngineOptions
from gpu_worker.protocol.messages import AddonFact
from gpu_worker.protocol.specs import DRAW_TASKS, FILE_TASKS, LOOK_TASKS, TRAIN_TASKS
from gpu_worker.sensors import Vitals, sensors
from gpu_worker.server import HANG_GRACE_S, ORPHAN_GRACE_S, Drawer, Server
from gpu_worker.task import Looker
from gpu_worker.transport import RETRY_S, PipeWorkerTransport

__all__ = ["CANNOT_START", "Served", "app_version", "engine_served", "run_check", "run_embedded", "serve"]

log = logging.getLogger(__name__)

CANNOT_START = 75
LOCK_MARGIN_S = 15.0


def app_version() -> str:
    try:
        return metadata.version("pincel")
    except metadata.PackageNotFoundError:
        return "0.1.0"  # run from the checkout, not installed


def run_embedded(
    name: str,
    data_dir: Path,
    demo_dir: Path,
    options: EngineOptions,
    frames_fd: int,
    more: Sequence[Path] = (),
    lanes: tuple[str, ...] = (),
    fetched: Path | None = None,
    outbox: Path | None = None,
) -> int:
    """`lanes`: the only ones that this worker is for; empty: all. `fetched`: it draws with the models there, and with
    no others. `outbox`: not the one of that folder, which belongs to a bot."""
    set_up_logging(name)

    def start_engine() -> Served:
        return engine_served(data_dir, demo_dir, options, more, lanes, fetched)

    return serve(name, outbox or data_dir / "outbox", start_engine, frames_fd)


@dataclass(frozen=True)
class Served:
    """An engine and what it raises."""

    engine: Drawer
    cancelled_error: type[Exception]
    engine_error: type[Exception]
    tasks: tuple[str, ...] = DRAW_TASKS
    sense: Callable[[], Vitals] | None = None
    addons: tuple[AddonFact, ...] = ()
    looker: Looker | None = None
    lanes: tuple[str, ...] = ()
    forget: Callable[[str], None] = lambda job: None
    kept: Callable[[], tuple[str, ...]] = tuple
    """Of trainings: what is kept to go on from is removed, and told."""


def engine_served(
    data_dir: Path,
    demo_dir: Path,
    options: EngineOptions,
    more: Sequence[Path] = (),
    lanes: tuple[str, ...] = (),
    fetched: Path | None = None,
) -> Served:
    """Loads torch. Raises whatever keeps the engine from starting."""
    from gpu_worker.engine.addons import engine_parts
    from gpu_worker.engine.engine import DrawingCancelled, Engine, EngineError
    from gpu_worker.engine.safety.guard import find_classifier
    from gpu_worker.training.room import TrainingRoom
    from gpu_worker.training.work import WORK_FOLDER
    from gpu_worker.workshop import Workshop

    engine = Engine(
        models_dir=fetched or data_dir / "models",
        demo_dir=demo_dir,
        options=options,
        extra_folders=() if fetched else more,
        data_dir=data_dir,
    )
    room = TrainingRoom(engine, data_dir / WORK_FOLDER, options.device)
    return Served(
        Workshop(engine, room), DrawingCancelled, EngineError,
        (*DRAW_TASKS, *LOOK_TASKS, *FILE_TASKS, *TRAIN_TASKS),
        sensors(engine.device, engine.card_uuid), engine_parts().told,
        find_classifier(data_dir / "models"), lanes, room.forget, room.kept,
    )  # fmt: skip


def serve(
    name: str,
    outbox: Path,
    start_engine: Callable[[], Served],
    frames_fd: int,
    *,
    orphan_grace_s: float = ORPHAN_GRACE_S,
    hang_grace_s: float = HANG_GRACE_S,
    retry_s: float = RETRY_S,
) -> int:
    """Serves one bot over stdin and `frames_fd` until it closes the pipe. Returns the exit code."""
    # Ctrl-C in the bot's terminal is the bot's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outbox.mkdir(parents=True, exist_ok=True)
    # A worker whose bot was killed may still be finishing a picture on this card: wait for it instead of doubling it.
    lock = FileLock(outbox / f"{name}.lock")
    parent = os.getppid()
    try:
        lock.acquire(timeout=orphan_grace_s + LOCK_MARGIN_S, cancel_check=lambda: os.getppid() != parent)
    except Timeout:
        if os.getppid() != parent:
            return 0  # our own bot has died meanwhile; its successor has its own worker
        log.error("an older worker %s does not end; stop its process by hand", name)
        return CANNOT_START
    try:
        served = start_engine()
    except Exception as error:
        log.exception("the engine cannot start")
        print(f"The engine cannot start: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT_START
    transport = PipeWorkerTransport(name, outbox, sys.stdin.buffer, frames_fd, retry_s=retry_s)
    Server(
        name=name, app_version=app_version(), engine=served.engine, transport=transport,
        cancelled_error=served.cancelled_error, engine_error=served.engine_error, tasks=served.tasks,
        orphan_grace_s=orphan_grace_s, hang_grace_s=hang_grace_s, sense=served.sense, addons=served.addons,
        looker=served.looker, lanes=served.lanes, forget=served.forget, kept=served.kept,
    ).run()  # fmt: skip
    return 0


def run_check(data_dir: Path, demo_dir: Path, options: EngineOptions, more: Sequence[Path] = ()) -> int:
    set_up_logging()
    try:
        from gpu_worker.engine.engine import Engine

        engine = Engine(models_dir=data_dir / "models", demo_dir=demo_dir, options=options, extra_folders=more)
        names = [fact.name for fact in engine.facts() if fact.kind == "checkpoint" and not fact.problem]
    except Exception as error:
        print(f"The engine cannot start: {error}", file=sys.stderr)  # noqa: T201
        return CANNOT_START
    print(f"{engine.device_name}: {', '.join(names)}", file=sys.stderr)  # noqa: T201
    return 0
