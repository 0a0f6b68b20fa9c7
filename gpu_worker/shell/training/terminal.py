"""The trainer's hooks at a terminal: one line of progress, and a stop between two steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from gpu_worker.protocol.specs import ImageRef
from gpu_worker.shell.training.looks import picture_bytes
from gpu_worker.training.hooks import SavedFile, TrainingProgress, Wish

__all__ = ["Terminal", "duration"]

_LINE_EVERY_S = 30
"""Where standard error is no terminal."""
_WIDTH = 100


class Terminal:
    def __init__(self, on_saved: Callable[[SavedFile], bool]) -> None:
        """`on_saved` answers whether the training has to make room: samples wait."""
        self.stopping = False
        self._on_saved = on_saved
        self._room = False
        self._shown = False
        self._told_at = 0.0
        self._since: tuple[int, float] | None = None

    def begin(self) -> None:
        """Another attempt: time counts from its first step."""
        self._room, self._since = False, None

    def wish(self) -> Wish:
        if self.stopping:
            return "cancel"
        return "pause" if self._room else "go on"

    def preparing_base(self) -> None:
        self._line("reading the checkpoint", always=False)

    def preparing(self, done: int, of: int) -> None:
        self._line(f"preparing pictures {done}/{of}", always=done == of)

    def progress(self, progress: TrainingProgress) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = progress.step, now
        steps = progress.step - self._since[0]
        rate = (now - self._since[1]) / steps if steps else None
        left = "" if rate is None else f", {duration(rate * (progress.total_steps - progress.step))} left"
        self._line(
            f"epoch {progress.epoch}/{progress.epochs}, step {progress.step}/{progress.total_steps}, "
            f"loss {progress.average_loss:.4f}{'' if rate is None else f', {rate:.2f} s a step'}{left}",
            always=progress.step == progress.total_steps,
        )

    def saved(self, file: SavedFile) -> None:
        self._room = self._on_saved(file) or self._room

    def open_image(self, ref: ImageRef) -> bytes:
        return picture_bytes(Path(ref.ref))

    def say(self, text: str) -> None:
        """On standard output, below the line of progress."""
        self.end_line()
        print(text, flush=True)  # noqa: T201

    def end_line(self) -> None:
        if self._shown:
            sys.stderr.write("\n")
            self._shown = False

    def _line(self, text: str, *, always: bool) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text:<{_WIDTH}}")
            sys.stderr.flush()
            self._shown = True
            return
        if always or time.monotonic() - self._told_at >= _LINE_EVERY_S:
            self._told_at = time.monotonic()
            print(text, file=sys.stderr, flush=True)  # noqa: T201


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
