"""A file from where it was published, instead of through the bot's own connection: https and public addresses only, and
nothing is believed of what comes before its hash is right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from gpu_worker.agent.getting import PartFile
from gpu_worker.protocol.web.addresses import AddressPolicy, PublicAddresses
from gpu_worker.protocol.web.connections import guarded_connector, timeouts

__all__ = ["SourceError", "SourceRules", "fetch_source"]

HOPS_MAX = 10
STALL_S = 60.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = "Pincel (a Discord bot that draws)"


class SourceError(Exception):
    """It does not come from there; the bot has it, too. Never holds more of an address than its host."""


class SourceRules:
    def __init__(
        self,
        addresses: AddressPolicy | None = None,
        resolver: AbstractResolver | None = None,
        *,
        stall_s: float = STALL_S,
        tls: bool = True,
    ) -> None:
        """Without `tls` plain http is asked, too: for tests."""
        self.addresses = addresses or PublicAddresses()
        self.resolver = resolver
        self.stall_s = stall_s
        self.tls = tls


async def fetch_source(
    address: str, part: PartFile, size_bytes: int, *, told: Callable[[int], None], rules: SourceRules
) -> None:
    """The rest of it. Raises SourceError, and OSError of this machine's disk; what had come stays in the part."""
    host = urlsplit(address).hostname or ""
    async with aiohttp.ClientSession(
        connector=guarded_connector(rules.addresses, rules.resolver), cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False, auto_decompress=False, timeout=timeouts(rules.stall_s),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
    ) as session:  # fmt: skip
        try:
            response = await _answer(session, address, part.size, rules)
            try:
                await _prepare(response, part, size_bytes)
                while part.size < size_bytes:
                    data = await response.content.readany()
                    if not data:
                        raise SourceError(f"{host} sent less than the whole file")
                    if part.size + len(data) > size_bytes:
                        raise SourceError(f"{host} sent more than the file has")
                    await _append(part, data)
                    told(part.size)
            finally:
                response.close()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise SourceError(f"{host}: {type(error).__name__}") from error
        except _DiskError as error:
            raise error.error from error


async def _answer(
    session: aiohttp.ClientSession, address: str, start: int, rules: SourceRules
) -> aiohttp.ClientResponse:
    """Redirects are followed by hand: each is judged anew."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    for _ in range(HOPS_MAX):
        parts = urlsplit(address)
        if parts.scheme != "https" and not (parts.scheme == "http" and not rules.tls):
            raise SourceError(f"{parts.hostname} is not asked over {parts.scheme}")
        if parts.username is not None or parts.password is not None:
            raise SourceError(f"an address of {parts.hostname} with a password")
        response = await session.get(address, headers=headers, allow_redirects=False)
        if response.status not in _REDIRECTS:
            return response
        response.close()
        address = urljoin(address, response.headers.get("Location", ""))
    raise SourceError("too many redirects")


async def _prepare(response: aiohttp.ClientResponse, part: PartFile, size_bytes: int) -> None:
    host = response.url.host
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise SourceError(f"{host} sent it packed")
    if response.status == 206:
        if response.headers.get("Content-Range", "") != f"bytes {part.size}-{size_bytes - 1}/{size_bytes}":
            raise SourceError(f"{host} sent another part")
    elif response.status == 200:
        if response.content_length not in (None, size_bytes):
            raise SourceError(f"{host} has another file there")
        await asyncio.to_thread(part.restart)
    else:
        raise SourceError(f"{host} answered {response.status}")


class _DiskError(Exception):
    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


async def _append(part: PartFile, data: bytes) -> None:
    try:
        await asyncio.to_thread(part.append, data)
    except OSError as error:
        raise _DiskError(error) from error
