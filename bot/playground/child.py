"""A playground as a child process: how the bot starts one, and how tests kill one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.errors import StartupError
from bot.playground.person import Person
from bot.playground.redirect import Endpoints
from bot.playground.startup import startup_error

__all__ = ["PlaygroundProcess"]

_READY_WITHIN_S = 30.0


class PlaygroundProcess:
    """Starts on `async with`; dies with its parent, because it watches the pipe that is its standard input.

    After `kill()`, `start()` brings it back on the same port, so that a bot finds it again. `endpoints` is set while it
    runs. Raises StartupError, with the child's own sentence and exit code, where it cannot start.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        listen: str | None = None,
        password: str | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        self._folder = folder
        self._port = port
        self._listen = listen
        self._password = password
        self._limit_bytes = limit_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._endpoints: Endpoints | None = None

    @property
    def endpoints(self) -> Endpoints:
        assert self._endpoints is not None, "the playground is not running"
        return self._endpoints

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "the playground is not running"
        return self._process

    async def start(self) -> Endpoints:
        command = [sys.executable, "-m", "bot.playground", "--watch-stdin"]
        command += ["--data", str(self._folder), "--port", str(self._port)]
        if self._listen:
            command += ["--listen", self._listen]
        if self._limit_bytes is not None:
            command += ["--attachment-limit", str(self._limit_bytes)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        if self._password:
            environment["PINCEL_PLAYGROUND_PASSWORD"] = self._password
        self._process = process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stdout.readline(), _READY_WITHIN_S)
        if not line:
            said = (await process.stderr.read()).decode(errors="replace").strip()
            code = await process.wait()
            if not said:
                raise startup_error("silent", code)
            raise StartupError(said.splitlines()[-1], "", code)
        self._endpoints = Endpoints(**json.loads(line))
        self._port = int(self._endpoints.api.split(":")[2].split("/")[0])
        # Without a reader a full pipe would one day stop the child.
        self._drain = asyncio.create_task(_forward(process.stderr), name="playground-stderr")
        return self._endpoints

    async def stop(self) -> int:
        """Closes its standard input, as the end of the parent would, and waits; returns its exit code."""
        process = self.process
        assert process.stdin is not None
        process.stdin.close()
        try:
            code = await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            code = await process.wait()
        await self._finish()
        return code

    async def kill(self) -> None:
        """Kill -9: no goodbye, nothing flushed."""
        self.process.kill()
        await self.process.wait()
        await self._finish()

    async def _finish(self) -> None:
        self._endpoints = None
        await self._drain
        # The transport is closed here, not by the collector, which would warn about it.
        self.process._transport.close()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownMemberType]
        self._process = None

    async def person(self, name: str = "Member") -> Person:
        return await Person.enter(self.endpoints.page, name)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self.stop()


async def _forward(stream: asyncio.StreamReader) -> None:
    while line := await stream.readline():
        sys.stderr.write(line.decode(errors="replace"))
