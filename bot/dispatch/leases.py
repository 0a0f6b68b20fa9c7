"""The clocks of trust between the bot and its workers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Leases", "Orphan"]


@dataclass(frozen=True, slots=True)
class Leases:
    """All in seconds. A lease must exceed the time in which we notice our own dead link."""

    heartbeat_s: float = 2.0
    lease_s: float = 15.0
    restart_grace_s: float = 90.0
    """After our own start: how long a worker that held jobs may take to report (an old one may still be finishing)."""
    max_crashes: int = 3
    max_run_s: float = 3600.0
    quiet_s: float = 10.0
    """A worker had nothing else to do for so long before a training goes on: who sees a picture may want another."""
    max_step_s: float = 1800.0
    """How long a training may take for a step, or to prepare."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """An attempt that the table says is running and no live worker is known to hold."""

    attempt: int
    worker: str
    deadline: float
    """On the dispatcher's clock; then it is lost."""
    blamed: bool = False
    outcome: str = "lost"
