"""What the dispatcher knows of each worker, from its messages only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bot.dispatch.needs import ModelNeeds
from bot.dispatch.policy import Candidate
from bot.dispatch.trainings import Pace
from bot.domain.job import TASK_MODEL, TRAIN_MODEL, Lane
from gpu_worker.protocol.messages import PROTO_MAX, PROTO_MIN, Heartbeat, Hello, ModelFact, PreviewWish

__all__ = ["Assigned", "Roster", "WorkerView"]

TWIN_S = 60.0
"""So long after its last word a second machine with the same key counts as there."""


@dataclass
class Assigned:
    """A job handed to a worker, and when it was last heard of (bot's monotonic clock)."""

    job: str
    attempt: int
    model: str
    seen_at: float
    started_at: float | None = None
    """When it was seen to reach the GPU: only such a job can be blamed for a dead worker."""
    charged: Candidate | None = None
    """What the fair clock was charged for it, to be given back if it never ran."""
    preview: PreviewWish = field(default_factory=lambda: PreviewWish(hz=0.0))
    """What previews were wished for; none until that is known."""
    pace: Pace | None = None
    """Of a training, once it has said how far it is."""
    reads_s: float = 0.0
    """Of reading its checkpoint, as was thought when it was handed out; 0 where that is in memory then."""
    fetch_bytes: int = 0
    """Of model files that its worker does not have."""
    fetches_since: float | None = None
    """When it was first heard to fetch them; None: it does not."""
    joins_fetch: bool = False
    """Its machine was fetching already, perhaps the same file: how soon it had that says nothing of the link."""

    def start(self, now: float) -> None:
        if self.started_at is None:
            self.started_at = now

    @property
    def started(self) -> bool:
        return self.started_at is not None

    @property
    def trains(self) -> bool:
        return self.model == TRAIN_MODEL


@dataclass(eq=False)
class WorkerView:
    name: str
    boot: str
    hello: Hello
    seen_at: float
    planned_model: str | None = None
    loaded: str | None = None
    """The checkpoint in its memory, as it said last."""
    draining: bool = False
    """By its own word: it starts, or is about to stop."""
    drained: bool = False
    """By the operator's: it finishes what it has begun and gets nothing more."""
    beat: Heartbeat | None = None
    """The last one, for whoever looks after the machine."""
    assigned: dict[str, Assigned] = field(default_factory=dict[str, Assigned])
    """Oldest first, which is the order it works in."""
    refused: set[str] = field(default_factory=set[str])
    """Jobs this boot did not take; offered again they would be refused again."""
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Assigns go out in the order of their claims."""
    load_s: float | None = None
    """To read a checkpoint, as was learnt of this worker; None before the first."""
    _checkpoints: tuple[Hello, frozenset[str], dict[str, ModelFact]] | None = None
    """Of that hello; a thousand workers are asked for each job."""
    twin_at: float | None = None
    """When another machine was last heard that has the same key; this one is served."""
    quiet_since: float = 0.0
    """When it was last given, or done with, anything but a training; at first, when it said hello."""

    @property
    def compatible(self) -> bool:
        return self.hello.proto_min <= PROTO_MAX and self.hello.proto_max >= PROTO_MIN

    @property
    def has_twin(self) -> bool:
        return self.twin_at is not None and self.seen_at - self.twin_at < TWIN_S

    @property
    def takes_work(self) -> bool:
        return self.compatible and not (self.draining or self.drained)

    @property
    def idle(self) -> bool:
        return not self.assigned

    @property
    def training(self) -> Assigned | None:
        return next((held for held in self.assigned.values() if held.trains), None)

    @property
    def others(self) -> int:
        """How many jobs it holds beside a training, which makes way for them."""
        if not self.assigned:
            return 0
        return sum(not held.trains for held in self.assigned.values())

    @property
    def credits(self) -> int:
        """How many more jobs it may hold: its slots and what it prefetches. Behind a training one, for which that
        makes way; the next when it has."""
        if not self.takes_work:
            return 0
        others = self.others
        trains = others < len(self.assigned)
        room = 1 if trains else self.hello.slots + self.hello.prefetch
        return max(0, room - others)

    @property
    def trains(self) -> bool:
        """Whether it takes trainings at all."""
        lanes = self.hello.lanes
        return self.can_draw(TRAIN_MODEL) and self.takes_work and (not lanes or Lane.TRAINING in lanes)

    @property
    def set_aside(self) -> bool:
        """It takes trainings and nothing else."""
        return self.trains and set(self.hello.lanes) == {Lane.TRAINING}

    def on_gpu(self) -> list[Assigned]:
        """What it draws just now: the newest of what has started. Older ones were drawn and were being stored."""
        started = sorted(
            (held for held in self.assigned.values() if held.started), key=lambda held: held.started_at or 0
        )
        return started[-self.hello.slots :]

    def can_draw(self, model: str) -> bool:
        if model.startswith(TASK_MODEL):
            return self.compatible and model.removeprefix(TASK_MODEL) in self.hello.tasks
        return self.compatible and model in self.checkpoints

    @property
    def checkpoints(self) -> frozenset[str]:
        """What it has on disk and can load."""
        if self._checkpoints is None or self._checkpoints[0] is not self.hello:
            usable = {f.name: f for f in self.hello.models if f.kind == "checkpoint" and not f.problem}
            self._checkpoints = (self.hello, frozenset(usable), usable)
        return self._checkpoints[1]

    def checkpoint(self, name: str) -> ModelFact | None:
        """One of `checkpoints`."""
        return self._checkpoints[2].get(name) if name in self.checkpoints and self._checkpoints else None

    def free_in_s(self, now: float, takes_s: Callable[[Assigned], float]) -> float:
        """Until what it holds is done, but for a training, which makes way. `takes_s`: each from its start to its end.
        What takes longer than that is thought to be half over."""
        left_s = 0.0
        for held in self.assigned.values():
            if not held.trains:
                ran_s = now - held.started_at if held.started_at is not None else 0.0
                left_s += abs(takes_s(held) - ran_s)
        return left_s / max(1, self.hello.slots)


class Roster(dict[str, WorkerView]):
    """The live workers by name."""

    usual_load_s: float = 0.0
    """What reading a checkpoint takes; 0 until the first has: a guess keeps no worker idle."""
    needs: ModelNeeds | None = None
    """What can be fetched of ours; None: nothing."""
    waits_for_hash: bool = False
    """Somebody was not given a job since its checkpoint has no hash yet."""

    def has(self, view: WorkerView, model: str) -> bool:
        """On its disk. What a machine that fetches calls so is ours only where the bytes are the same."""
        if not view.can_draw(model):
            return False
        fact = view.checkpoint(model) if view.hello.fetches and self.needs is not None else None
        return fact is None or self.needs is None or self.needs.agrees(fact)

    def fetch_bytes(self, view: WorkerView, model: str) -> int | None:
        """What it has to fetch first; None where it cannot, or has no room."""
        if self.needs is None or not view.hello.fetches or not view.compatible or model.startswith(TASK_MODEL):
            return None
        ref, room_mb = self.needs.checkpoint(model), view.hello.models_room_mb
        if ref is None or (room_mb is not None and ref.size_bytes > room_mb * 2**20):
            return None
        return ref.size_bytes

    def can_draw(self, view: WorkerView, model: str) -> bool:
        """At once, or once it has fetched the model."""
        return self.has(view, model) or self.fetch_bytes(view, model) is not None

    def may_draw(self, view: WorkerView, model: str) -> bool:
        """A model that nobody has goes to anybody: the worker's refusal becomes the user's sentence. A training waits
        for whoever can do it, and for those set aside as long as there are any."""
        if model == TRAIN_MODEL:
            return view.trains and (view.set_aside or not any(other.set_aside for other in self.values()))
        if self.can_draw(view, model):
            return True
        if view.hello.fetches and self.needs is not None and self.needs.is_coming(model):
            self.waits_for_hash = True
            return False
        return not any(self.can_draw(other, model) for other in self.values() if not other.set_aside)

    def learn_load(self, view: WorkerView, load_s: float) -> None:
        """What a job said it spent on reading models; nothing where all was in memory."""
        if load_s > 0:
            view.load_s = load_s if view.load_s is None else 0.7 * view.load_s + 0.3 * load_s
            self.usual_load_s = load_s if self.usual_load_s == 0 else 0.9 * self.usual_load_s + 0.1 * load_s

    def holders(self, job: str) -> Iterator[tuple[WorkerView, Assigned]]:
        for view in list(self.values()):
            held = view.assigned.get(job)
            if held is not None:
                yield view, held

    def models(self) -> tuple[ModelFact, ...]:
        """What any of them can use; a model that one of them can load counts as usable, and where one fetches, so does
        all that can be fetched."""
        best: dict[tuple[str, str], ModelFact] = {}
        views = [view for view in self.values() if view.compatible]
        if self.needs is not None and any(view.hello.fetches for view in views):
            best = {(fact.kind, fact.name): fact for fact in self.needs.facts()}
        for view in views:
            needs = self.needs if view.hello.fetches else None
            for fact in view.hello.models:
                if needs is not None and not needs.agrees(fact):
                    continue  # from another time of our library, or the machine's own
                known = best.get((fact.kind, fact.name))
                if known is None or (known.problem and not fact.problem):
                    best[fact.kind, fact.name] = fact
        return tuple(best.values())
