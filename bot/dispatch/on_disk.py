"""The half of a transport whose results lie in an outbox of this machine, and whose inputs lie beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.dispatch.outbox import Inputs, Outbox
from gpu_worker.protocol import messages as m
from gpu_worker.protocol.specs import ImageRef

__all__ = ["OnDisk"]


class OnDisk:
    """As `BotTransport` says of each."""

    _outbox: Outbox
    _inputs: Inputs

    async def fetch(self, done: m.Done | m.Partial, output: m.Output) -> Path:
        return self._outbox.picture(done, output)

    async def settled(self, message: m.Settled) -> None:
        await asyncio.to_thread(self._outbox.remove, message.worker, message.job, message.attempt)

    async def taken(self, part: m.Partial) -> None:
        await asyncio.to_thread(self._outbox.remove_part, part)

    async def put_file(self, path: Path, sha256: str, mime: str) -> ImageRef:
        size = await asyncio.to_thread(self._inputs.link, path, sha256)
        return ImageRef(ref=sha256, sha256=sha256, mime=mime, size_bytes=size)

    async def put_input(self, data: bytes, mime: str) -> ImageRef:
        digest = await asyncio.to_thread(self._inputs.put, data)
        return ImageRef(ref=digest, sha256=digest, mime=mime, size_bytes=len(data))
