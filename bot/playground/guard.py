"""Who may talk to the playground: Host and Origin checks, the page's key, the password of an opened one.

A page on the internet can make a browser send requests to 127.0.0.1, and a domain can be made to resolve there; the
Host and Origin checks stop both, the SameSite cookie stops the rest.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

__all__ = ["Guard"]

_TRIES_PER_MINUTE = 5
_TRIES_PER_MINUTE_ALL = 30


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address((address or "").removeprefix("::ffff:")).is_loopback
    except ValueError:
        return False


@dataclass
class Guard:
    """`password` is None for a playground that only this machine can reach; `host` is what it listens on."""

    host: str
    password: str | None = None
    port: int = 0
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def __post_init__(self) -> None:
        self._cookie_value = secrets.token_urlsafe(32)
        self._tries: list[tuple[float, str]] = []
        self._names = {"localhost", "127.0.0.1", "::1", self.host.lower()}
        if self.password is not None:
            name = socket.gethostname().lower()
            self._names |= {name, f"{name}.local"}

    @property
    def cookie(self) -> str:
        """Cookies know no ports, so the name carries it: two playgrounds do not log each other out."""
        return f"playground_{self.port}"

    # ------------------------------------------------------------------ checks

    def good_host(self, request: web.Request) -> bool:
        try:
            parts = urlsplit(f"//{request.headers.get('Host', '')}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port:
            return False
        if name in self._names:
            return True
        if self.password is None:
            return False
        try:
            # No domain can pretend to be a bare address, so rebinding gains nothing here.
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def good_origin(self, request: web.Request) -> bool:
        """An Origin, where the browser sends one, must be this very page's."""
        origin = request.headers.get("Origin")
        return origin is None or origin.lower() == f"http://{request.headers.get('Host', '').lower()}"

    def local_peer(self, request: web.Request) -> bool:
        return _is_loopback(request.remote)

    def entered(self, request: web.Request) -> bool:
        given = request.cookies.get(self.cookie, "")
        return hmac.compare_digest(given.encode(), self._cookie_value.encode())

    def good_key(self, request: web.Request) -> bool:
        return hmac.compare_digest(request.query.get("key", "").encode(), self.key.encode())

    def try_password(self, request: web.Request, given: str) -> bool | None:
        """Whether the password is right; None when there were too many tries in the last minute."""
        now, peer = time.monotonic(), request.remote or ""
        self._tries = [(when, who) for when, who in self._tries if when > now - 60]
        if len(self._tries) >= _TRIES_PER_MINUTE_ALL or sum(who == peer for _, who in self._tries) >= _TRIES_PER_MINUTE:
            return None
        self._tries.append((now, peer))
        # Hashes have one length, so the comparison tells nothing about the password's.
        wanted = hashlib.sha256((self.password or secrets.token_hex()).encode()).digest()
        right = hmac.compare_digest(hashlib.sha256(given.encode()).digest(), wanted)
        if right:
            self._tries.pop()
        return right

    def let_in(self, response: web.StreamResponse) -> None:
        response.set_cookie(self.cookie, self._cookie_value, httponly=True, samesite="Strict", path="/")
