"""What the dispatcher knows of each worker, from its messages only."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpu_worker.protocol.messages import PROTO_MAX, PROTO_MIN, Hello

__all__ = ["Assigned", "WorkerView"]


@dataclass
class Assigned:
    """A job handed to a worker, and when it was last heard of (bot's monotonic clock)."""

    job: str
    attempt: int
    model: str
    seen_at: float
    started: bool = False
    """It has reached the GPU: only such a job can be blamed for a dead worker."""


@dataclass
class WorkerView:
    name: str
    boot: str
    hello: Hello
    seen_at: float
    planned_model: str | None = None
    draining: bool = False
    assigned: dict[str, Assigned] = field(default_factory=dict[str, Assigned])

    @property
    def compatible(self) -> bool:
        return self.hello.proto_min <= PROTO_MAX and self.hello.proto_max >= PROTO_MIN

    @property
    def idle(self) -> bool:
        return not self.assigned

    @property
    def credits(self) -> int:
        """How many more jobs it may hold: its slots and what it prefetches."""
        if self.draining or not self.compatible:
            return 0
        return max(0, self.hello.slots + self.hello.prefetch - len(self.assigned))

    def can_draw(self, model: str) -> bool:
        return any(fact.kind == "checkpoint" and fact.name == model and not fact.problem for fact in self.hello.models)
