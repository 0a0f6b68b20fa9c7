"""The loss of a whole run in a few points, however long the run is."""

from __future__ import annotations

from typing import Any

from gpu_worker.protocol.messages import CURVE_POINTS_MAX

__all__ = ["LossCurve"]


class LossCurve:
    """Means of `stride` steps each; where they become too many, two neighbours become one. Part of the saved state, so
    that neither a pause nor a death breaks it."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        """`state` is what `state()` gave."""
        self._stride: int = state["stride"] if state else 1
        self._points: list[float] = list(state["points"]) if state else []
        self._open: list[float] = list(state["open"]) if state else []
        """Losses of the point that is not whole yet."""

    def add(self, loss: float) -> None:
        self._open.append(loss)
        if len(self._open) < self._stride:
            return
        self._points.append(_mean(self._open))
        self._open = []
        if len(self._points) == CURVE_POINTS_MAX:  # one place is the open point's
            self._points = [_mean(self._points[at : at + 2]) for at in range(0, CURVE_POINTS_MAX, 2)]
            self._stride *= 2

    @property
    def points(self) -> tuple[float, ...]:
        """At most CURVE_POINTS_MAX; the last may be of fewer steps than the others."""
        return (*self._points, *([_mean(self._open)] if self._open else []))

    def state(self) -> dict[str, Any]:
        return {"stride": self._stride, "points": list(self._points), "open": list(self._open)}


def _mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)
