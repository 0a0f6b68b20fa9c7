"""Has the broker read its configuration again, over a connection whose key may do that and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from bot.broker.keys import BrokerError
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.link import Link, LinkDownError, LinkTimes, NobodyThereError

__all__ = ["Reloading"]

log = logging.getLogger(__name__)

_FIRST_S = 5.0


class Reloading:
    def __init__(self, access: Access, inbox: str, times: LinkTimes | None = None) -> None:
        self._link = Link(access, name="bot's keys", inbox=inbox, times=times)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        # A broker that was away may have started with what was true before.
        self._link.on_up(self._reload_soon)
        self._link.open()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()

    async def reload(self) -> None:
        """Returns when it has; raises BrokerError. Where it is away, it is told as soon as it is back."""
        if not await self._link.wait_up(_FIRST_S):
            raise BrokerError("unreachable", "no connection")
        try:
            server = _read(await self._ask("$SYS.REQ.SERVER.PING"))["server"]["id"]
            said = _read(await self._ask(f"$SYS.REQ.SERVER.{server}.RELOAD"))
        except LinkDownError as error:
            raise BrokerError("unreachable", str(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BrokerError("refused", f"no answer that can be read: {error!r}") from error
        if "error" in said:
            raise BrokerError("refused", str(said["error"]))

    async def _ask(self, subject: str) -> bytes:
        try:
            return (await self._link.request(subject, b"")).data
        except NobodyThereError as error:
            raise BrokerError("refused", f"it does not know {subject}: is it older than 2.10?") from error

    def _reload_soon(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._reload_for_itself(), name="broker-reload")

    async def _reload_for_itself(self) -> None:
        try:
            await self.reload()
        except BrokerError as error:
            log.warning("the broker did not read its configuration again: %s", error)


def _read(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("not a map")
    return found  # pyright: ignore[reportUnknownVariableType]
