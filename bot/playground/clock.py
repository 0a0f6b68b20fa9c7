"""Real time for SimCord, which otherwise stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from simcord._clock import Clock

__all__ = ["WallClock"]


class WallClock(Clock):
    """Now, plus whatever a test has added with `advance`."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.elapsed)
