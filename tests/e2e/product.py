"""The whole product as one real process tree: `python -m bot` with its playground and its worker on the demo model."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bot.playground.redirect import Endpoints
from tests.e2e.visitor import Visitor

__all__ = ["Product"]

CHECKOUT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0
_PAGE = re.compile(r"^\s+(http://\S+/\?key=\S+)\s*$", re.MULTILINE)


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """Nothing of the developer's own settings reaches a test."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PINCEL_", "DISCORD_"))}
    # One thread and no busy waiting: other workers draw beside this one while tests run in parallel.
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return {**kept, **threads, "PYTHONPATH": str(CHECKOUT), "LC_ALL": "C.UTF-8", **settings}


@dataclass
class Product:
    """`settings` are environment variables; `endpoints`, where given, point it at a playground of the test's own.
    `script` is started instead of `-m bot`."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    endpoints: Endpoints | None = None
    script: Path | None = None
    page: str = ""
    _process: subprocess.Popen[bytes] | None = None
    _lives: int = 0
    _port: int = 0

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was never launched"
        return self._process

    @property
    def output(self) -> str:
        """Everything this life has printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def _log(self) -> Path:
        return self.folder / f"bot-{self._lives}.log"

    def launch(self) -> None:
        """Starts it and returns at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lives += 1
        settings = {"PINCEL_DATA": str(self.data), "PINCEL_PLAYGROUND_PORT": str(self._port), **self.settings}
        command = [sys.executable, *(["-m", "bot"] if self.script is None else [str(self.script)])]
        if self.endpoints is not None:
            command = [sys.executable, str(Path(__file__).with_name("redirected_bot.py"))]
            settings = {
                "E2E_ENDPOINTS": json.dumps(vars(self.endpoints)), "DISCORD_TOKEN": self.endpoints.token, **settings
            }  # fmt: skip
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--env-file", str(self.folder / "no-such.env")],
                env=_environment(settings), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def start(self) -> Product:
        """Starts it and waits for the address it prints, or, with a given playground, until it is connected."""
        self.launch()
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self.endpoints is not None:
                self.page = self.endpoints.page
                if "connected as" in self.output:
                    return self
            elif found := _PAGE.search(self.output):
                self.page = found[1]
                self._port = int(re.search(r":(\d+)/", self.page)[1])  # type: ignore[index]
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the product did not start (exit code {self.process.poll()}):\n{self.output}")

    def wait_for_another_page(self) -> None:
        """A playground that was started again has a new key in its address."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            newest = _PAGE.findall(self.output)[-1]
            if newest != self.page:
                self.page = newest
                return
            time.sleep(0.05)
        raise AssertionError(f"no other page was printed:\n{self.output}")

    # --- its end ------------------------------------------------------------------------------------------------------

    def ended(self, within_s: float = READY_WITHIN_S) -> int:
        """Waits for its end; the exit code."""
        return self.process.wait(within_s)

    def interrupt(self) -> int:
        """Ctrl-C in its terminal: the whole foreground group gets the signal. The exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.ended()

    def tree(self) -> list[psutil.Process]:
        """The bot and all processes below it, whatever group they are in."""
        try:
            bot = psutil.Process(self.process.pid)
            return [bot, *bot.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def child(self, module: str) -> psutil.Process:
        """The child process `python -m <module>`, waited for."""
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            for process in self.tree()[1:]:
                with contextlib.suppress(psutil.Error):
                    if module in process.cmdline():
                        return process
            time.sleep(0.02)
        raise AssertionError(f"no {module} runs")

    def kill(self) -> None:
        """kill -9 of everything at once, as a power cut would."""
        found = self.tree()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(10)
        psutil.wait_procs(found, timeout=10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    # --- who uses it --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def person(self, name: str = "Member") -> AsyncGenerator[Visitor]:
        async with await Visitor.enter(self.page, name) as visitor:
            visitor.product = self
            await visitor.wait_for_bot(60, "imagine")
            yield visitor

    # --- behind the scenes --------------------------------------------------------------------------------------------

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """What the database says, read beside the running bot."""
        uri = f"file:{self.data / 'pincel.sqlite'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()

    def execute(self, sql: str, *values: Any) -> None:
        """Changes the database behind the bot's back: time that passed, a token that ended."""
        with contextlib.closing(sqlite3.connect(self.data / "pincel.sqlite", timeout=10)) as connection, connection:
            connection.execute(sql, values)
