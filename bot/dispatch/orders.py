"""What operators want of workers and machines, whether those are there or not."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REMOVED", "Orders"]

REMOVED = "removed"
"""Outcome of an attempt whose machine was removed: nobody's fault."""


@dataclass(frozen=True, slots=True)
class Orders:
    drained: frozenset[str] = frozenset()
    """Names of workers that finish what they have begun and get nothing more."""
    dismissed: frozenset[str] = frozenset()
    """Names of machines, case-folded, of which nothing is taken any more, not even a result that was under way: a key
    is revoked where it may have been stolen, too."""

    spoilt: frozenset[str] = frozenset()
    """Those of the drained ones that nobody asked for: they sent what was no result."""

    def drains(self, worker: str) -> bool:
        return worker in self.drained

    def dismisses(self, worker: str) -> bool:
        """Every card of a machine is it."""
        return bool(self.dismissed) and worker.partition(".")[0].casefold() in self.dismissed
