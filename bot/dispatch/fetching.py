"""How fast models come to a machine, as was learnt."""

from __future__ import annotations

from bot.dispatch.workers import Assigned, Roster, WorkerView

__all__ = ["FETCHING", "FetchRates"]

FETCHING = "fetching"
"""The phase of a job whose files are on their way; nothing of it has reached a card."""
FIRST_GUESS_BYTES_S = 20e6
LEAST_BYTES = 4 << 20
"""Less says nothing of a link."""


class FetchRates:
    def __init__(self, workers: Roster) -> None:
        self._workers = workers
        self._bytes_s: dict[str, float] = {}
        """By machine."""

    def of(self, machine: str) -> float:
        """Bytes a second."""
        return self._bytes_s.get(machine, FIRST_GUESS_BYTES_S)

    def hear(self, view: WorkerView, held: Assigned, phase: str, now: float) -> None:
        """A job of it says in what phase it is."""
        machine = view.hello.machine
        if phase == FETCHING:
            if held.fetches_since is None:
                held.joins_fetch = self._fetches(machine)
                held.fetches_since = now
        elif held.fetches_since is not None:
            took_s, held.fetches_since = now - held.fetches_since, None
            if held.fetch_bytes >= LEAST_BYTES and took_s > 0 and not held.joins_fetch:
                new = held.fetch_bytes / took_s
                known = self._bytes_s.get(machine)
                self._bytes_s[machine] = new if known is None else 0.5 * known + 0.5 * new

    def _fetches(self, machine: str) -> bool:
        """With any of its cards."""
        views = (view for view in self._workers.values() if view.hello.machine == machine)
        return any(held.fetches_since is not None for view in views for held in view.assigned.values())
