"""What the engine needs from whoever runs a job: a place to report to, a word when to stop, and input pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from gpu_worker.engine.calls import Phase
from gpu_worker.engine.errors import DrawingCancelled
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef

__all__ = ["Hooks", "Resumable", "Watch"]


class Hooks(Protocol):
    """Called on the thread that draws; none of them may block for long."""

    @property
    def preview(self) -> PreviewWish: ...

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None: ...

    def cancelled(self) -> bool: ...

    def open_image(self, ref: ImageRef) -> bytes: ...


@runtime_checkable
class Resumable(Protocol):
    """Hooks of a job whose finished parts are kept for a later attempt, if this one is lost. Parts are numbered by the
    task; keeping one again replaces it."""

    @property
    def state(self) -> bytes | None:
        """The newest that any attempt left with a part."""
        ...

    def part(self, number: int) -> bytes | None:
        """What an earlier attempt kept; None where it kept none, or what it kept is damaged."""
        ...

    def keep(self, number: int, data: bytes, state: bytes | None = None) -> None:
        """Durable when it returns, or left out (no room): then that part is made again."""
        ...


class Watch:
    """Reports to the hooks of one job and keeps previews to the wished rate."""

    def __init__(self, hooks: Hooks, clock: Callable[[], float] = time.monotonic) -> None:
        self._hooks = hooks
        self._clock = clock
        self._last_preview_s = clock()

    def check(self) -> None:
        """Raises DrawingCancelled."""
        if self._hooks.cancelled():
            raise DrawingCancelled

    def report(
        self, phase: Phase, step: int, of: int, draw: Callable[[PreviewWish], bytes | None] | None = None
    ) -> None:
        """`draw` makes the preview and is called only when one is due."""
        preview = None
        wish = self._hooks.preview
        if draw is not None and wish.hz > 0 and self._clock() - self._last_preview_s >= 1 / wish.hz:
            preview = draw(wish)
            self._last_preview_s = self._clock()
        self._hooks.progress(phase, step, of, preview)
