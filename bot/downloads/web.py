"""The one HTTP client that talks to hosts which nobody vouches for.

Redirects are followed by hand: each hop's scheme, port and address are judged anew. Bodies come as they were sent,
never unpacked. A token goes to the origin that it is for, in a chain of redirects that has never left it, and nowhere
else. Logs and sentences name hosts, never whole addresses: signed ones are secrets, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from pydantic import SecretStr
from yarl import URL

from bot.domain.mentions import spoken
from bot.downloads.trouble import PassingError
from bot.errors import UserFacingError
from gpu_worker.protocol.web.addresses import AddressPolicy, PublicAddresses
from gpu_worker.protocol.web.connections import BlockedAddressError, guarded_connector, timeouts

__all__ = ["Answer", "Hop", "Tokens", "Web", "WebRules"]

HOPS_MAX = 10
STALL_S = 60.0
ANSWER_BYTES_MAX = 8 << 20
ANSWER_S = 60.0
REST_MAX_S = 3600.0
USER_AGENT = "Pincel (a Discord bot that draws)"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429})
_GONE = frozenset({404, 410, 451})
_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024
"""Ports below belong to mail and other services, which a request must not be made to speak to."""


@dataclass(frozen=True, slots=True)
class Tokens:
    civitai: SecretStr = field(default_factory=lambda: SecretStr(""))
    huggingface: SecretStr = field(default_factory=lambda: SecretStr(""))


@dataclass(frozen=True, slots=True)
class WebRules:
    """The origins are those that tokens are sent to, and whose pages are understood."""

    addresses: AddressPolicy = field(default_factory=PublicAddresses)
    allow_http: bool = False
    civitai: str = "https://civitai.com"
    huggingface: str = "https://huggingface.co"
    resolver: AbstractResolver | None = None
    """None: the system's."""
    stall_s: float = STALL_S
    """A server that sends nothing for so long is left."""


@dataclass(frozen=True, slots=True)
class Hop:
    url: URL
    status: int
    headers: Mapping[str, str]
    """Names in any case."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the last hop; its status is 200, 206 or 416, or that of a redirect that was not followed."""

    response: aiohttp.ClientResponse
    hops: tuple[Hop, ...]

    @property
    def host(self) -> str:
        return self.response.url.host or ""


class Web:
    """`async with Web(WebRules(), Tokens()) as web:`; without that, `close` it."""

    def __init__(self, rules: WebRules, tokens: Tokens) -> None:
        self.rules = rules
        self._tokens = {
            str(URL(rules.civitai).origin()): tokens.civitai,
            str(URL(rules.huggingface).origin()): tokens.huggingface,
        }
        self._session: aiohttp.ClientSession | None = None
        self._rest: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """May be called more than once."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @contextlib.asynccontextmanager
    async def open(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, may_leave: bool = True
    ) -> AsyncGenerator[Answer]:
        """The body is read from `Answer.response.content`, inside `translated`. Without `may_leave` a redirect to
        another origin is not followed, but answered. Raises UserFacingError."""
        response, hops = await self._follow(self._parsed(url), method, headers or {}, may_leave=may_leave)
        try:
            self._check_status(response)
            yield Answer(response, tuple(hops))
        finally:
            # Never back into the pool: nobody knows how much of the body would still come.
            response.close()

    async def read(self, url: str, limit_bytes: int = ANSWER_BYTES_MAX) -> bytes:
        """A small answer as a whole. Raises UserFacingError."""
        try:
            async with asyncio.timeout(ANSWER_S), self.open(url) as answer:
                check_plain(answer)
                data = bytearray()
                with translated(answer.host):
                    async for piece in answer.response.content.iter_any():
                        data += piece
                        if len(data) > limit_bytes:
                            raise UserFacingError("download_bad_answer", host=answer.host)
        except TimeoutError:
            raise PassingError("download_silent", host=URL(url).host or "") from None
        return bytes(data)

    async def json(self, url: str) -> Any:
        """Raises UserFacingError."""
        data = await self.read(url)
        try:
            return await asyncio.to_thread(json.loads, data)
        except (ValueError, RecursionError):
            raise UserFacingError("download_bad_answer", host=URL(url).host or "") from None

    def is_civitai(self, url: URL) -> bool:
        return _same_origin(url, self.rules.civitai)

    def is_huggingface(self, url: URL) -> bool:
        return _same_origin(url, self.rules.huggingface)

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _follow(
        self, url: URL, method: str, headers: Mapping[str, str], *, may_leave: bool
    ) -> tuple[aiohttp.ClientResponse, list[Hop]]:
        home: str | None = str(url.origin())
        hops: list[Hop] = []
        while True:
            self._check(url)
            if str(url.origin()) != home:
                home = None  # the chain has left, and however it goes on, it gets no token any more
            response = await self._request(url, method, headers, home)
            hops.append(Hop(url, response.status, response.headers))
            if response.status not in _REDIRECTS:
                return response, hops
            response.close()
            target = self._target(url, response.headers.get("Location", ""))
            if not may_leave and target.origin() != url.origin():
                return response, hops
            if len(hops) > HOPS_MAX:
                raise UserFacingError("download_redirects", host=hops[0].url.host or "")
            url = target

    async def _request(self, url: URL, method: str, headers: Mapping[str, str], home: str | None) -> Any:
        host = url.host or ""
        left_s = self._rest.get(host, 0.0) - time.monotonic()
        if left_s > 0:
            raise PassingError("download_busy", host=host, retry_after_s=left_s)
        sent = dict(headers)
        token = self._tokens.get(home or "")
        if token is not None and token.get_secret_value():
            sent["Authorization"] = f"Bearer {token.get_secret_value()}"
        with translated(host):
            return await self._open_session().request(method, url, headers=sent, allow_redirects=False)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self.rules.addresses, self.rules.resolver),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # a proxy would connect for us, to where we cannot see; and .netrc holds secrets
                auto_decompress=False,
                timeout=timeouts(self.rules.stall_s),
                headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
                read_bufsize=1 << 20,
            )
        return self._session

    def _parsed(self, url: str) -> URL:
        try:
            parsed = URL(url, encoded=_is_clean(url))
            if parsed.host and parsed.port is not None and parsed.scheme in ("http", "https"):
                return parsed
        except ValueError:  # some of an address is read only when it is asked for
            pass
        raise UserFacingError("download_link", link=_shown(url))

    def _target(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location, encoded=_is_clean(location)))
            if location and target.absolute and target.host and target.port is not None:
                return target
        except ValueError:
            pass
        raise UserFacingError("download_bad_answer", host=url.host or "")

    def _check(self, url: URL) -> None:
        """Raises UserFacingError unless the address may be asked at all."""
        host = url.host or ""
        if url.scheme != "https" and not (url.scheme == "http" and self.rules.allow_http):
            raise UserFacingError("download_scheme", host=host)
        if url.user is not None or url.password is not None:
            raise UserFacingError("download_with_password", host=host)
        port = url.port or 0
        if port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
            raise UserFacingError("download_address", host=host)

    def _check_status(self, response: aiohttp.ClientResponse) -> None:
        """Raises UserFacingError unless it may be an answer with a file, or a redirect that nobody wants to follow."""
        status, host = response.status, response.url.host or ""
        if status in (200, 206, 416) or status in _REDIRECTS:
            return
        if status in _PASSING or status >= 500:
            wait_s = _retry_after_s(response.headers.get("Retry-After", ""))
            if wait_s:
                self._rest[host] = time.monotonic() + wait_s
            raise PassingError("download_busy", host=host, retry_after_s=wait_s)
        if status in (401, 403):
            raise UserFacingError(self.login_key(response.url), host=host)
        raise UserFacingError("download_missing" if status in _GONE else "download_refused", host=host, status=status)

    def login_key(self, url: URL) -> str:
        """Of the sentence for a file that its host gives to some people only."""
        if self.is_civitai(url):
            return "download_login_civitai"
        return "download_login_huggingface" if self.is_huggingface(url) else "download_login"


@contextlib.contextmanager
def translated(host: str) -> Generator[None]:
    """What goes wrong on the wire becomes a UserFacingError."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError:
        raise UserFacingError("download_certificate", host=host) from None
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, BlockedAddressError):
            raise UserFacingError("download_address", host=host) from None
        unknown = isinstance(error, aiohttp.ClientConnectorDNSError)
        raise PassingError("download_host" if unknown else "download_broken", host=host) from None
    except aiohttp.InvalidURL:
        raise UserFacingError("download_address", host=host) from None  # 127.1 and its like
    except UnicodeError:
        raise UserFacingError("download_host", host=host) from None  # no name can look like that
    except TimeoutError:
        raise PassingError("download_silent", host=host) from None
    except (aiohttp.ClientError, OSError):
        raise PassingError("download_broken", host=host) from None


def check_plain(answer: Answer) -> None:
    """Raises UserFacingError for a packed body: a few bytes of it could become any number, and nobody asked for one."""
    encoding = answer.response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UserFacingError("download_packed", host=answer.host)


def _is_clean(url: str) -> bool:
    """Nothing to be quoted: a signed address must stay as it is, to the letter."""
    return url.isascii() and url.isprintable() and " " not in url


def _same_origin(url: URL, origin: str) -> bool:
    return url.absolute and url.origin() == URL(origin).origin()


def _shown(url: str) -> str:
    """As much of a link as can be said back: no query, which may hold a secret."""
    return spoken(url.partition("?")[0].partition("#")[0])


def _retry_after_s(value: str) -> float | None:
    value = value.strip()
    with contextlib.suppress(ValueError, OverflowError, TypeError):
        wait_s = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
        return min(max(wait_s, 0.0), REST_MAX_S)
    return None
