"""One embedded worker: a child process whose stdin and stdout carry frames."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_worker.protocol.frames import FrameError, Unframer, frame
from gpu_worker.protocol.specs import Wire

__all__ = ["Child", "ChildCommand"]

log = logging.getLogger(__name__)

READ_BYTES = 64 * 1024
TAIL_BYTES = 2000
# A Ctrl-C in the terminal reaches the whole group; the bot decides when its worker stops.
_OWN_GROUP: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {"start_new_session": True}
)


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """How to start a worker: `argv` without its name, and where its own output goes."""

    argv: Sequence[str]
    log_file: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])


class Child:
    def __init__(self, process: asyncio.subprocess.Process, log_file: Path) -> None:
        self._process = process
        self._log_file = log_file
        self._write_turn = asyncio.Lock()

    @classmethod
    async def spawn(cls, command: ChildCommand, name: str) -> Child:
        """Raises OSError where the program cannot be started."""
        command.log_file.parent.mkdir(parents=True, exist_ok=True)
        with command.log_file.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                "--name",
                name,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **command.environment},
                **_OWN_GROUP,
            )
        return cls(process, command.log_file)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, message: Wire) -> bool:
        """False where the child is gone."""
        stdin = self._process.stdin
        if stdin is None or self._process.returncode is not None:
            return False
        try:
            async with self._write_turn:
                stdin.write(frame(message))
                await stdin.drain()
        except (BrokenPipeError, ConnectionResetError, RuntimeError):
            return False
        return True

    async def frames(self) -> AsyncIterator[dict[str, Any]]:
        """Until the child closes its end. A damaged stream ends it too: it cannot be trusted further."""
        stdout = self._process.stdout
        if stdout is None:
            return
        unframer = Unframer()
        try:
            while data := await stdout.read(READ_BYTES):
                for raw in unframer.feed(data):
                    yield raw
        except FrameError:
            log.exception("worker %s sent what is no frame; it is stopped", self.pid)
            self.kill()

    async def wait(self) -> int:
        return await self._process.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def close(self, grace_s: float) -> None:
        """Closes its stdin, which asks it to end; kills it after `grace_s`."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The last line of its output, for the operator."""
        with contextlib.suppress(OSError), self._log_file.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
            return lines[-1].strip() if lines else ""
        return ""
