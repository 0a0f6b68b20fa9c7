"""The library's client, with what it lacks."""

from __future__ import annotations

import asyncio
from typing import cast

import nats.errors
from nats.aio.client import Client, Srv

__all__ = ["GuardedClient"]


class GuardedClient(Client):
    """Says nothing in the clear where TLS was asked for, and waits no longer than it should for any connection."""

    def __init__(self, *, asks_for_tls: bool, connect_s: float) -> None:
        super().__init__()
        self._asks_for_tls = asks_for_tls
        self._connect_s = connect_s

    async def _connect_to_server(self, s: Srv) -> None:
        # The library puts a new connection in the place of one that was refused, and leaves that open.
        refused = getattr(self._transport, "_io_writer", None)
        if refused is not None:
            refused.transport.abort()
        # It bounds no web socket: a silent link would hold it for minutes.
        async with asyncio.timeout(self._connect_s):
            await super()._connect_to_server(s)

    async def _process_connect_init(self) -> None:
        # Of what it did not foresee its task for reconnects dies without a word, and nobody dials any more.
        try:
            await super()._process_connect_init()
        except (OSError, TimeoutError, nats.errors.Error):
            raise
        except Exception as error:
            raise nats.errors.Error(f"what answers there is no broker ({type(error).__name__})") from error

    async def _process_pong(self) -> None:
        # To a ping that nobody waits for any more; the library would drop the connection over it.
        waiting = cast("list[asyncio.Future[bool]]", self._pongs)  # pyright: ignore[reportUnknownMemberType]
        if waiting and waiting[0].done():
            waiting[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    def _connect_command(self) -> bytes:
        # It holds what proves who we are. The library encrypts only where the other end says that it wants to.
        if self._asks_for_tls and not self._server_info.get("tls_required"):
            raise nats.errors.Error("the broker offers no TLS, which its address asks for")
        return super()._connect_command()
