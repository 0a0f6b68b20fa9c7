"""The bot, or a worker, as a child of the notebook: started, waited for, kept alive with copies at intervals, and
stopped."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot import exit_codes
from notebooks.colab.launcher import STOP_WITHIN_S, Launcher
from notebooks.colab.telling import Telling

__all__ = ["BOT", "SAVE_EVERY_S", "Served", "Serving", "worker"]

SAVE_EVERY_S = 600.0
READY_WITHIN_S = 1800.0
"""The first start fetches gigabytes of packages."""
RESTART_AFTER_S = 30.0
WORKER_STOP_WITHIN_S = 120.0
"""It finishes its picture and hands it over; launch.py itself ends it by force after a hundred seconds."""
_MENDED_BY_A_RESTART = (exit_codes.UNEXPECTED, exit_codes.OFFLINE)


@dataclass(frozen=True)
class Served:
    """What runs."""

    words: tuple[str, ...]
    """Of launch.py."""
    ready: re.Pattern[str]
    """In the line that says so."""
    settings: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    stop_within_s: float = STOP_WITHIN_S


_DRAWS = re.compile(r" is ready on .+ with \d+ models")
"""Of an agent, when the process of a card is up."""

BOT = Served((), re.compile(r"connected as|^\s+http://\S+/\?key=\S+\s*$"))


def worker(invite: str) -> Served:
    return Served(("worker",), _DRAWS, {"PINCEL_INVITE": invite}, WORKER_STOP_WITHIN_S)


class Serving:
    def __init__(self, launcher: Launcher, telling: Telling, save: Callable[[], object], served: Served = BOT) -> None:
        self._launcher, self._telling, self._save, self._served = launcher, telling, save, served
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when Discord or the playground is there, or a worker's card. Raises StoppedError where the start was
        refused: why, the lines above it say."""
        if self.running:
            return
        self._ready.clear()
        self._process = process = self._launcher.start(*self._served.words, **self._served.settings)
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        limit = time.monotonic() + READY_WITHIN_S
        try:
            while not self._ready.wait(0.2):
                if process.poll() is not None:
                    raise self._telling.stop("start.ended", code=process.returncode)
                if time.monotonic() > limit:
                    raise self._telling.stop("start.late")
        except BaseException:
            self._launcher.end(process)
            raise

    def keep(self, minutes: float = 0.0) -> None:
        """Until that time is over (0: for ever), the stop button is pressed, or the bot ends by what no restart mends.
        However it ends, what runs is stopped in good order and saved once more."""
        self.start()
        ends_at = time.monotonic() + minutes * 60 if minutes > 0 else float("inf")
        try:
            while (left := ends_at - time.monotonic()) > 0:
                code = self._wait(min(SAVE_EVERY_S, left))
                if code is None and time.monotonic() < ends_at:
                    self._save()
                elif code is None:
                    break
                elif code in _MENDED_BY_A_RESTART:
                    self._telling.say("keep.again", code=code, seconds=int(RESTART_AFTER_S))
                    time.sleep(RESTART_AFTER_S)
                    self.start()
                else:
                    self._telling.say("keep.ended", code=code)
                    break
        except KeyboardInterrupt:
            self._telling.say("keep.stopping")
        finally:
            self.stop()

    def stop(self) -> None:
        if self._process is not None:
            self._launcher.end(self._process, self._served.stop_within_s)
            self._process = None
            self._save()

    def _wait(self, seconds: float) -> int | None:
        """The exit code; None while it runs."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in self._launcher.lines(process):
            self._telling.line(line)
            if self._served.ready.search(line):
                self._ready.set()
