"""The jobs that a worker has said yes to and not ended yet."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import Train

__all__ = ["ENDED_KEPT", "Held", "HeldJobs", "Key"]

Key = tuple[str, int]
"""Job and attempt."""

ENDED_KEPT = 256
MISSED_MAX = 2


@dataclass(eq=False)
class Held:
    assign: m.Assign
    phase: str = "queued"
    step: int = 0
    of: int = 0
    bringing: asyncio.Task[None] | None = None
    """What it needs is being brought here."""
    ready: bool = False
    """All that it needs is here."""
    given: bool = False
    """The child that lives has it."""
    sure: bool = False
    """And has said so."""
    missed: int = 0
    told: int = 0
    """Progress that was told for it before the child's own."""
    began: int = 0
    """Counts up with each that the child began; 0 before."""
    over: bool = False
    """Its end is being written here, in the place of a child's."""

    @property
    def key(self) -> Key:
        return self.assign.job, self.assign.attempt

    @property
    def trains(self) -> bool:
        return isinstance(self.assign.spec, Train)

    @property
    def running(self) -> m.Running:
        return m.Running(job=self.assign.job, attempt=self.assign.attempt, phase=self.phase, step=self.step, of=self.of)

    def at(self, phase: str, step: int = 0, of: int = 0) -> None:
        self.phase, self.step, self.of = phase, step, of

    def taken_back(self) -> None:
        """Its child has died and had not begun: the next one gets it."""
        self.given = self.sure = False
        self.missed = self.began = 0
        self.at("queued")


class HeldJobs:
    def __init__(self) -> None:
        self._held: dict[Key, Held] = {}
        self._ended: dict[Key, None] = {}
        self._count = itertools.count(1)

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def get(self, job: str, attempt: int) -> Held | None:
        return self._held.get((job, attempt))

    def of_job(self, job: str) -> list[Held]:
        return [held for held in self if held.assign.job == job]

    def knows(self, key: Key) -> bool:
        """The same (job, attempt) again is a repeated message, not a second job."""
        return key in self._held or key in self._ended

    def add(self, assign: m.Assign) -> Held:
        held = self._held[assign.job, assign.attempt] = Held(assign)
        return held

    def end(self, key: Key) -> Held | None:
        self._ended[key] = None
        while len(self._ended) > ENDED_KEPT:
            self._ended.pop(next(iter(self._ended)))
        return self._held.pop(key, None)

    def hear(self, held: Held, phase: str, step: int, of: int) -> None:
        """From a child."""
        held.sure = True
        held.missed = 0
        if phase != "queued" and not held.began:
            held.began = next(self._count)
        held.at(phase, step, of)

    def begun(self) -> list[Held]:
        """What the child has begun, the newest last: that is on its card, and earlier ones are drawn already."""
        return sorted((held for held in self if held.given and held.began), key=lambda held: held.began)

    def see(self, beat: m.Heartbeat) -> list[Held]:
        """Takes up what a child says of them; returns those of which it knows no longer anything."""
        said = {(running.job, running.attempt): running for running in beat.running}
        lost: list[Held] = []
        for held in self:
            running = said.get(held.key)
            if running is not None and held.given:
                self.hear(held, running.phase, running.step, running.of)
            elif held.sure:
                # Not at once: it may have been made before the job came, and sent after it.
                held.missed += 1
                if held.missed >= MISSED_MAX:
                    lost.append(held)
        return lost
