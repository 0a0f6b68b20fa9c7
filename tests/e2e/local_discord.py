"""A playground of a test's own: one that outlives the bot, that a test may kill, or that takes only small files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bot.playground.redirect import Endpoints

__all__ = ["LocalDiscord"]


class LocalDiscord:
    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Endpoints:
        """On the same port and with the same world as before."""
        command = [sys.executable, "-m", "bot.playground", "--data", str(self._folder), "--port", str(self._port)]
        if self._limit_bytes is not None:
            command += ["--attachment-limit", str(self._limit_bytes)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        endpoints = Endpoints(**json.loads(self._process.stdout.readline()))
        self._port = int(endpoints.api.split(":")[2].split("/")[0])
        return endpoints

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate(timeout=10)
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=10)
            self._process = None
