"""Keeps one child running, whatever becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from gpu_worker.agent.times import AgentTimes
from gpu_worker.protocol.child import Child, ChildCommand
from gpu_worker.protocol.specs import Wire

__all__ = ["Lives"]

log = logging.getLogger(__name__)

OnFrame = Callable[[dict[str, Any]], Awaitable[None]]
OnEnd = Callable[[bool, str], Awaitable[None]]


class Lives:
    def __init__(
        self, name: str, command: ChildCommand, *, times: AgentTimes, on_frame: OnFrame, on_end: OnEnd
    ) -> None:
        """`on_end` hears, after the last frame of a life, whether it ever said hello, and how it ended."""
        self._name = name
        self._command = command
        self._times = times
        self._on_frame = on_frame
        self._on_end = on_end
        self._child: Child | None = None
        self._stopping = asyncio.Event()

    @property
    def up(self) -> bool:
        """A child has said hello, and still lives."""
        return self._child is not None and self._child.spoke

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    async def send(self, message: Wire) -> bool:
        """Whether the child gets it, unless it dies first."""
        child = self._child
        if child is None or not child.spoke:
            return False
        # None: it does not read just now, and what was written to its pipe stays there.
        return await child.send(message) is not False

    async def run(self) -> None:
        """Until `close`."""
        failures = 0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            started = loop.time()
            try:
                await self._live()
            except Exception:
                log.exception("keeping %s running failed; it is started again", self._name)
            failures = 0 if loop.time() - started > self._times.stable_s else failures + 1
            wait_s = self._times.backoff_s[min(failures, len(self._times.backoff_s) - 1)]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def close(self, grace_s: float) -> None:
        """Closes the child's pipe, upon which it finishes what it draws and ends; kills it after `grace_s`."""
        self._stopping.set()
        child = self._child
        if child is not None:
            if not child.spoke:
                child.kill()  # it holds nothing yet
            await child.close(grace_s)

    def kill(self) -> None:
        self._stopping.set()
        if self._child is not None:
            self._child.kill()

    async def _live(self) -> None:
        try:
            child = await Child.spawn(self._command, self._name)
        except OSError as error:
            await self._on_end(False, f"it cannot be started: {error}")
            return
        self._child = child
        try:
            if self._stopping.is_set():
                child.kill()
            child.silence_s = self._times.start_s
            async with contextlib.aclosing(child.frames()) as frames:
                async for raw in frames:
                    if raw.get("t") == "hello" and not child.spoke:
                        child.spoke = True
                        child.silence_s = self._times.silence_s
                    try:
                        await self._on_frame(raw)
                    except Exception:
                        log.exception("a message of %s could not be handled", self._name)
            code = await child.wait()
        except BaseException:
            child.kill()
            await asyncio.shield(child.wait())
            raise
        finally:
            self._child = None
        said = await child.last_words()
        await self._on_end(child.spoke, f"it ended with {code}: {said}" if said else f"it ended with {code}")
