"""How the broker is reached, and what proves who is who: addresses, our key, its certificate."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

__all__ = ["BROKER_NAME", "Access"]

BROKER_NAME = "pincel-broker"
"""In the certificate of a broker that a bot looks after, whatever its address is today."""

_PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Access:
    urls: tuple[str, ...] = field(repr=False)
    """`nats://`, `tls://`, `ws://`, `wss://`, tried in turn; they may hold a user and a password."""
    seed: str = field(default="", repr=False)
    """Of our nkey (`SU…`). Empty: no key."""
    ca_pem: str = ""
    """Certificates that have signed the broker's. Empty: those that this system trusts."""
    server_name: str = ""
    """Name that its certificate must hold, in place of the address that was dialled."""

    @classmethod
    def plain(cls, url: str) -> Access:
        return cls((url,))

    @property
    def place(self) -> str:
        """For people: without whatever is secret in it."""
        return ", ".join(_place(url) for url in self.urls)

    @property
    def asks_for_tls(self) -> bool:
        """A broker that offers none is refused then: somebody may have taken its place on the way."""
        return bool(self.ca_pem) or any(urlsplit(url).scheme in ("tls", "wss") for url in self.urls)

    def context(self) -> ssl.SSLContext | None:
        """None where TLS is not asked for; raises ssl.SSLError for certificates that are none."""
        if not self.asks_for_tls:
            return None
        # A web socket may stand behind a proxy whose certificate is one that systems trust.
        web = any(urlsplit(url).scheme == "wss" for url in self.urls)
        context = ssl.create_default_context(cadata=self.ca_pem or None)
        if self.ca_pem and web:
            context.load_default_certs()
        return context

    def by_protocol(self) -> tuple[Access, ...]:
        """The client dials sockets or web sockets, never both in turn."""
        web = tuple(url for url in self.urls if urlsplit(url).scheme in _PORTS)
        bare = tuple(url for url in self.urls if url not in web)
        # The name is checked for sockets alone; a web socket's certificate has to hold the address.
        return tuple(
            replace(self, urls=urls, server_name=self.server_name if urls is bare else "")
            for urls in (bare, web)
            if urls
        )


def _place(url: str) -> str:
    parts = urlsplit(url if "//" in url else f"nats://{url}")
    return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 4222)}"
