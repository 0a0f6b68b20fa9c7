"""Which machines have sent what cannot be the result of their jobs, and which of them get no more work."""

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
    """Lives as long as the bot: who was put out by mistake is tried again after a restart."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spoilt: dict[str, dict[str, float]] = {}
        """Jobs by machine, and when."""
        self._out: set[str] = set()

    @property
    def out(self) -> frozenset[str]:
        """Machines that get nothing more."""
        return frozenset(self._out)

    def is_out(self, worker: str) -> bool:
        return bool(self._out) and machine_of(worker) in self._out

    def blame(self, worker: str, job: str) -> bool:
        """An unfit result. True where the machine gets nothing more from now on."""
        machine, now = machine_of(worker), self._clock()
        known = self._spoilt.get(machine, {})
        spoilt = {one: at for one, at in known.items() if now - at < REMEMBERED_S} | {job: now}
        self._spoilt[machine] = spoilt
        if len(spoilt) < FAULTS_MAX or machine in self._out:
            return False
        self._out.add(machine)
        return True

    def forgive(self, worker: str) -> bool:
        """Whether that machine was put out."""
        machine = machine_of(worker)
        self._spoilt.pop(machine, None)
        was_out = machine in self._out
        self._out.discard(machine)
        return was_out

    def has_spoilt(self, worker: str, job: str) -> bool:
        return bool(self._spoilt) and job in self._spoilt.get(machine_of(worker), ())

    def mark(self, worker: str) -> str:
        """The machine's name, where it is not like others: it has spoilt some job."""
        machine = machine_of(worker)
        return machine if machine in self._spoilt else ""
