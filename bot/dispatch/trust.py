"""Which machines have sent what cannot be the result of their jobs, and when that was once too often; whose word that a
job cannot be done at all waits for another's; and on which cards a waiting job has failed."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["FAULTS_MAX", "Trust"]

FAULTS_MAX = 3
"""Jobs of which a machine may send an unfit result; one of them may be the job's fault, or that of a full disk."""
REMEMBERED_S = 24 * 3600.0


def machine_of(worker: str) -> str:
    """Every card of a machine is it."""
    return worker.partition(".")[0]


class Trust:
    """Lives as long as the bot."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spoilt: dict[str, dict[str, float]] = {}
        """Jobs by machine, and when."""
        self._doubted: dict[str, str] = {}
        """Machines by the waiting job that they say cannot be done."""
        self._failed: dict[str, set[str]] = {}
        """Workers by the waiting job of which a start ended badly there: a crash, too little memory, silence."""

    def blame(self, worker: str, job: str) -> bool:
        """An unfit result. True where that was one too many; then the count begins anew, for whoever gives it work
        again."""
        machine, now = machine_of(worker), self._clock()
        known = self._spoilt.get(machine, {})
        spoilt = {one: at for one, at in known.items() if now - at < REMEMBERED_S} | {job: now}
        self._spoilt[machine] = spoilt
        if len(spoilt) < FAULTS_MAX:
            return False
        del self._spoilt[machine]
        return True

    def doubt(self, worker: str, job: str) -> bool:
        """It says that this job cannot be done. True where it is the first who says so of it."""
        if job in self._doubted:
            return False
        self._doubted[job] = machine_of(worker)
        return True

    def failed(self, worker: str, job: str) -> None:
        """A start of it ended badly there, and it waits again. Nobody's fault as yet; another card may know."""
        self._failed.setdefault(job, set()).add(worker)

    def over(self, job: str) -> None:
        self._doubted.pop(job, None)
        self._failed.pop(job, None)

    def is_for_others(self, worker: str, job: str) -> bool:
        """It has failed there, or its machine has spoilt it, or said that it cannot be done."""
        if not (self._spoilt or self._doubted or self._failed):
            return False
        machine = machine_of(worker)
        return (
            job in self._spoilt.get(machine, ())
            or self._doubted.get(job) == machine
            or worker in self._failed.get(job, ())
        )

    def mark(self, worker: str) -> str:
        """A name, where this one is not like others: some job is not for it."""
        if any(worker in failed for failed in self._failed.values()):
            return worker
        machine = machine_of(worker)
        return machine if machine in self._spoilt or machine in self._doubted.values() else ""
