"""What `/workers` shows of each worker: what the table remembers beside what the dispatcher knows just now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata

from bot.dispatch.workers import Assigned, WorkerView
from bot.storage.facts import Timings
from bot.storage.machines import MachineWorker
from gpu_worker.protocol.messages import PROTO_MAX, PROTO_MIN, ModelFact, Running

__all__ = [
    "Doing",
    "Skew",
    "Speed",
    "Task",
    "WorkerSight",
    "own_version",
    "protocol_text",
    "sights",
    "skew_of",
    "version_text",
]

VERSION_CHARS = 30
_OF_VERSIONS = re.compile(r"[A-Za-z0-9.+-]")
USUAL_STEPS, USUAL_PX = 20, 512
"""Of the picture that a speed is told in, where its checkpoint names no size."""


class Doing(StrEnum):
    """Each has its words below `workers.doing`."""

    NEVER = "never"
    """It was invited and has not come."""
    AWAY = "away"
    OLD = "old"
    """It speaks none of our protocols and gets no jobs."""
    STARTING = "starting"
    """By its own word it takes nothing: it starts, or is about to stop."""
    FETCHING = "fetching"
    TRAINING = "training"
    DRAWING = "drawing"
    IDLE = "idle"

    @property
    def there(self) -> bool:
        return self not in (Doing.NEVER, Doing.AWAY)


class Skew(StrEnum):
    NONE = "none"
    APP = "app"
    """Another version of Pincel, which we understand."""
    PROTOCOL = "protocol"
    """We do not."""


@dataclass(frozen=True, slots=True)
class Task:
    """What it works at. None of it is a person's."""

    model: str
    phase: str
    share: float | None
    """0 to 1, of that phase."""
    waiting: int
    """Jobs that it holds behind it."""


@dataclass(frozen=True, slots=True)
class Speed:
    pictures_a_minute: float
    """Of `USUAL_STEPS` steps and `px` by `px` pixels."""
    px: int
    model: str


@dataclass(frozen=True, slots=True)
class WorkerSight:
    row: MachineWorker
    ours: bool
    """Of the bot's own machine."""
    doing: Doing
    view: WorkerView | None = None
    task: Task | None = None
    speed: Speed | None = None
    skew: Skew = Skew.NONE
    twin: bool = False
    """Another machine has the same key."""

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def drained(self) -> bool:
        return self.row.drained_at is not None


def version_text(said: str) -> str:
    """What a machine says of its version, as a sentence can hold it."""
    return "".join(_OF_VERSIONS.findall(said))[:VERSION_CHARS] or "?"


def own_version() -> str:
    """As a worker of ours says it."""
    try:
        return metadata.version("pincel")
    except metadata.PackageNotFoundError:
        return "0.1.0"  # run from the checkout, not installed


def sights(
    rows: Iterable[MachineWorker],
    views: Iterable[WorkerView],
    timings: Timings,
    *,
    ours: Callable[[str], bool],
    version: str,
) -> list[WorkerSight]:
    """Whoever is there first, in the order of the rows."""
    there = {view.name.casefold(): view for view in views}
    found = [_sight(row, there.get(row.name.casefold()), timings, ours(row.name), version) for row in rows]
    return sorted(found, key=lambda sight: not sight.doing.there)


def _sight(row: MachineWorker, view: WorkerView | None, timings: Timings, ours: bool, version: str) -> WorkerSight:
    if view is None:
        return WorkerSight(row, ours, Doing.NEVER if row.seen_at is None else Doing.AWAY)
    task = _task(view)
    speed, skew = _speed(view, timings), skew_of(view, version)
    return WorkerSight(row, ours, _doing(view, task), view, task, speed, skew, view.has_twin)


def skew_of(view: WorkerView, version: str) -> Skew:
    if not view.compatible:
        return Skew.PROTOCOL
    return Skew.NONE if view.hello.app_version == version else Skew.APP


def _doing(view: WorkerView, task: Task | None) -> Doing:
    if not view.compatible:
        return Doing.OLD
    if task is not None:
        if task.phase == "fetching":
            return Doing.FETCHING
        return Doing.TRAINING if task.phase in ("preparing", "training") else Doing.DRAWING
    return Doing.STARTING if view.draining else Doing.IDLE


def _task(view: WorkerView) -> Task | None:
    if not view.assigned:
        return None
    said = {running.job: running for running in (view.beat.running if view.beat else ())}
    held = _at_work(view)
    running = said.get(held.job)
    phase = running.phase if running is not None else "queued"
    share = _share(held, running)
    return Task(held.model, phase, share, len(view.assigned) - 1)


def _at_work(view: WorkerView) -> Assigned:
    """The one that is on the card, else the oldest."""
    others = [held for held in view.on_gpu() if not held.trains]
    on_gpu = others or view.on_gpu()
    return on_gpu[-1] if on_gpu else next(iter(view.assigned.values()))


def _share(held: Assigned, running: Running | None) -> float | None:
    if held.pace is not None and held.pace.of:
        return min(1.0, max(0.0, held.pace.step / held.pace.of))
    if running is None or running.of <= 0:
        return None
    return min(1.0, max(0.0, running.step / running.of))


def _speed(view: WorkerView, timings: Timings) -> Speed | None:
    learnt = timings.drawing_s(view.hello.gpu, view.loaded)
    if learnt is None:
        return None
    model, unit_s = learnt
    facts: Mapping[str, ModelFact] = {fact.name: fact for fact in view.hello.models if fact.kind == "checkpoint"}
    px = facts[model].native_px if model in facts else None
    px = px or USUAL_PX
    seconds = unit_s * USUAL_STEPS * px * px / 1e6
    return Speed(60.0 / max(seconds, 1e-3), px, model)


def protocol_text(view: WorkerView) -> tuple[str, str]:
    """Its range and ours."""
    hello = view.hello
    return _range(hello.proto_min, hello.proto_max), _range(PROTO_MIN, PROTO_MAX)


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}–{most}"
