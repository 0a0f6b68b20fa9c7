"""Workers of this machine and remote ones behind one transport: each message goes where its worker is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from bot.dispatch.entitled import Entitled, Serves
from bot.dispatch.transport import BotTransport, OnGone, OnMessage
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ImageRef

__all__ = ["Together"]


class Together:
    def __init__(self, here: BotTransport, remote: BotTransport, is_here: Callable[[str], bool]) -> None:
        """Both serve the same inputs; `is_here` knows the names of `here`, of workers that left only results, too."""
        self._here, self._remote = here, remote
        self._is_here = is_here

    @property
    def connected(self) -> bool:
        """A worker of this machine that hangs while the broker is away is found by its transport, not by its lease."""
        return self._here.connected and self._remote.connected

    def serve(self, entitled: Entitled) -> None:
        """As the remote transport has it."""
        if isinstance(self._remote, Serves):
            self._remote.serve(entitled)

    async def start(self, on_message: OnMessage, on_gone: OnGone) -> None:
        # First what came from afar, before any worker of this machine takes one of those jobs.
        await self._remote.start(on_message, on_gone)
        await self._here.start(on_message, on_gone)

    async def stop(self) -> None:
        await asyncio.gather(self._here.stop(), self._remote.stop())

    async def assign(self, worker: str, message: m.Assign) -> bool | None:
        return await self._of(worker).assign(worker, message)

    async def send(self, worker: str, message: m.ToWorker) -> None:
        await self._of(worker).send(worker, message)

    async def fetch(self, done: m.Done | m.Partial, output: m.Output) -> Path:
        return await self._of(done.worker).fetch(done, output)

    async def settled(self, message: m.Settled) -> None:
        await self._of(message.worker).settled(message)

    async def taken(self, part: m.Partial) -> None:
        await self._of(part.worker).taken(part)

    async def put_file(self, path: Path, sha256: str, mime: str) -> ImageRef:
        return await self._here.put_file(path, sha256, mime)

    async def put_input(self, data: bytes, mime: str) -> ImageRef:
        return await self._here.put_input(data, mime)

    def _of(self, worker: str) -> BotTransport:
        return self._here if self._is_here(worker) else self._remote
