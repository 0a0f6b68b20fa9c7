"""`launch.py` in a process of its own, every line shown: a notebook shows nothing that a child prints by itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from notebooks.colab.telling import Telling

__all__ = ["STOP_WITHIN_S", "Launcher"]

STOP_WITHIN_S = 30.0
"""launch.py itself ends the bot by force after ten seconds."""


class Launcher:
    def __init__(self, checkout: Path, settings: Mapping[str, str], telling: Telling) -> None:
        self._checkout = checkout
        self._telling = telling
        self._environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", **settings}

    def run(self, *words: str) -> int:
        """To its end; the exit code. The notebook's stop button ends it in good order and raises KeyboardInterrupt."""
        process = self.start(*words)
        try:
            for line in self.lines(process):
                self._telling.line(line)
            return process.wait()
        finally:
            self.end(process)

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Whoever starts it reads its `lines`. `settings`: of this process alone."""
        return subprocess.Popen(  # noqa: S603 - our own launch.py
            [sys.executable, str(self._checkout / "launch.py"), *words],
            cwd=self._checkout, env={**self._environment, **settings}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            start_new_session=True,  # the stop button reaches it through us alone
            preexec_fn=_die_with_kernel if sys.platform == "linux" else None,
        )  # fmt: skip

    @staticmethod
    def lines(process: subprocess.Popen[str]) -> Iterator[str]:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                yield line.rstrip()

    @staticmethod
    def end(process: subprocess.Popen[str], within_s: float = STOP_WITHIN_S) -> None:
        """In good order, by force where that takes too long; nothing where it has ended."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(within_s)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _die_with_kernel() -> None:
    """A kernel that is started anew must not find the bot of the one before it."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
