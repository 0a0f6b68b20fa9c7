"""Connections to allowed addresses only. The address is judged where it is used, so that a name which means something
else a moment later (DNS rebinding) gains nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import ClientTimeout, TCPConnector, ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from gpu_worker.protocol.web.addresses import AddressPolicy

__all__ = ["TIMEOUT_CONNECT_S", "BlockedAddressError", "GuardedResolver", "guarded_connector", "timeouts"]

TIMEOUT_CONNECT_S = 20.0
PER_HOST = 4
"""Connections to one host at a time, over all downloads."""


class BlockedAddressError(OSError):
    """Nothing was sent there."""


class GuardedResolver(AbstractResolver):
    """Names only what may be reached; refuses a name that has nothing else."""

    def __init__(self, policy: AddressPolicy, inner: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [result for result in found if self._policy.allows(result["host"])]
        if found and not allowed:
            raise BlockedAddressError("no public address")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def guarded_connector(policy: AddressPolicy, resolver: AbstractResolver | None = None) -> TCPConnector:
    return TCPConnector(
        resolver=GuardedResolver(policy, resolver),
        socket_factory=_factory(policy),
        use_dns_cache=False,
        limit_per_host=PER_HOST,
        family=socket.AF_UNSPEC,
        loop=asyncio.get_running_loop(),
    )


def timeouts(stall_s: float) -> ClientTimeout:
    return ClientTimeout(total=None, sock_connect=min(TIMEOUT_CONNECT_S, stall_s), sock_read=stall_s)


def _factory(policy: AddressPolicy) -> Callable[[Any], socket.socket]:
    def make(info: Any) -> socket.socket:
        # The last word: whatever led here, an address in the link itself included.
        family, kind, protocol, _, address = info
        if not policy.allows(str(address[0])):
            raise BlockedAddressError("no public address")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make
