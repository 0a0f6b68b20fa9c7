"""nats-server on this machine: found, asked for its version, run, and started again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

__all__ = ["VERSION_MIN", "BrokerProgram", "find_program", "version_of"]

log = logging.getLogger(__name__)

VERSION_MIN = (2, 9)
_NAME = "nats-server"
_BACKOFF_S = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_S = 60.0
_STOP_S = 10.0
_STARTS_S = 30.0
_LOOK_S = 0.05
_PORTS = ".ports"
"""Ending of the file, with its process id, that it writes once it listens."""
_LAST_WORDS_BYTES = 2000
_APART: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {"start_new_session": True}
)
"""A terminal's Ctrl-C ends the bot, which then ends this one, last."""
_MEMORY = "256MiB"
"""Its collector then works harder from there on; it is no limit."""


def find_program() -> Path | None:
    """The system's, which its operator chose; else that of the extra `broker`."""
    if found := shutil.which(_NAME):
        return Path(found)
    beside = Path(sys.executable).with_name(f"{_NAME}.exe" if os.name == "nt" else _NAME)
    return beside if beside.is_file() else None


def version_of(program: Path) -> tuple[int, int] | None:
    """Blocks. None where it does not say."""
    try:
        said = subprocess.run(  # noqa: S603 - found by us
            [program, "--version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"v(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


class BrokerProgram:
    def __init__(
        self, program: Path, configuration: Path, *, log_file: Path, backoff_s: tuple[float, ...] = _BACKOFF_S
    ) -> None:
        folder = configuration.parent
        self._argv = (str(program), "-c", str(configuration), "--ports_file_dir", str(folder))
        self._folder, self._log_file, self._backoff_s = folder, log_file, backoff_s
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._words = b""

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> bool:
        """Whether it is up; where not, it is tried again in the background, and the log has its last words."""
        await asyncio.to_thread(_end_stray, self._folder, self._argv)
        began = asyncio.get_running_loop().time()
        self._keeper = asyncio.create_task(self._keep(), name="broker")
        while asyncio.get_running_loop().time() - began < _STARTS_S:
            if self.pid is not None and any(self._folder.glob(f"*_{self.pid}{_PORTS}")):
                return True
            if self._words:
                return False
            await asyncio.sleep(_LOOK_S)
        return False

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def hang_up(self) -> bool:
        """Has it read its configuration again; whether that is possible. It does not say how it went."""
        if self.pid is None or not hasattr(signal, "SIGHUP"):
            return False
        os.kill(self.pid, signal.SIGHUP)
        return True

    async def _keep(self) -> None:
        tries = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                code = await self._run()
            except OSError as error:
                self._words, code = str(error).encode(), -1
            tries = 0 if asyncio.get_running_loop().time() - began > _STEADY_S else tries
            self._words = self._words.strip() or f"it ended with {code}".encode()
            log.error(
                "the broker does not run (%s); it is started again. Its log: %s",
                self._words.decode(errors="replace"), self._log_file,
            )  # fmt: skip
            await asyncio.sleep(self._backoff_s[min(tries, len(self._backoff_s) - 1)])
            tries += 1

    async def _run(self) -> int:
        self._process = process = await asyncio.create_subprocess_exec(
            *self._argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, env={"GOMEMLIMIT": _MEMORY, **os.environ},
            **_APART,
        )  # fmt: skip
        self._words = b""
        assert process.stderr is not None
        said = b""
        while data := await process.stderr.read(4096):
            said = (said + data)[-_LAST_WORDS_BYTES:]
        code = await process.wait()
        self._words = said or await asyncio.to_thread(_last_words, self._log_file)
        return code


def _last_words(log_file: Path) -> bytes:
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - _LAST_WORDS_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return b""
    return next((line for line in reversed(lines) if b"[FTL]" in line), b"")


def _end_stray(folder: Path, argv: tuple[str, ...]) -> None:
    """One that an earlier bot left behind when it was killed holds our port and our folder."""
    for path in folder.glob(f"*{_PORTS}"):
        with contextlib.suppress(ValueError, psutil.Error):
            process = psutil.Process(int(path.stem.rpartition("_")[2]))
            if process.cmdline()[1:] == list(argv[1:]):
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(_STOP_S)
        with contextlib.suppress(OSError):
            path.unlink()
