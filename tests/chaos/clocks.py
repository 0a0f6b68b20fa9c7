"""A process whose wall clock is wrong, and is set now and then: time that passes is all that may count."""

from __future__ import annotations

import signal
import time

__all__ = ["SET_CLOCK", "skew_clock"]

SET_CLOCK = getattr(signal, "SIGUSR1", 0)


def skew_clock(by_s: int, jump_s: int = 0) -> None:
    """From now on `time.time` is `by_s` off; whenever SIGUSR1 comes, by `jump_s` more."""
    real, off = time.time, [by_s]
    time.time = lambda: real() + off[0]  # type: ignore[assignment]

    def jump(*_: object) -> None:
        off[0] += jump_s

    if SET_CLOCK:
        signal.signal(SET_CLOCK, jump)
