"""Addresses as settings have them: where something listens, and what others dial."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

__all__ = [
    "BROKER_PORT", "Listener", "dialled", "host_of", "is_everywhere", "is_loopback", "lan_address", "listeners",
    "split_address",
]  # fmt: skip

BROKER_PORT = 4222
_WEB_PORTS = {"ws": 80, "wss": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_PORT_MAX = 65535
_ELSEWHERE = "203.0.113.1"
"""Kept for documents: nothing is sent there."""


@dataclass(frozen=True, slots=True)
class Listener:
    host: str
    port: int
    scheme: str = "tls"
    """`tls`; `wss`; or `ws`, for a proxy that brings the certificate."""

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def split_address(value: str) -> tuple[str, int] | None:
    """`host:port`, with an IPv6 address in brackets; None where it is no such thing."""
    found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+)):(\d{1,5})", value)
    if found is None or int(found[3]) > _PORT_MAX:
        return None
    return found[1] or found[2], int(found[3])


def is_loopback(host: str) -> bool:
    """Whether only this machine can ask there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listeners(text: str) -> tuple[Listener, ...]:
    """`0.0.0.0:4222`, perhaps with a web socket: `0.0.0.0:4222, wss://0.0.0.0:443`; empty: none. Raises ValueError."""
    found = tuple(_listener(part) for part in _parts(text))
    schemes = [one.scheme for one in found]
    if (found and schemes.count("tls") != 1) or len(found) > 2:
        raise ValueError("one address, and one of a web socket at most")
    return tuple(sorted(found, key=lambda one: one.scheme != "tls"))


def dialled(text: str) -> tuple[str, ...]:
    """Addresses in words of ours, `host`, `host:port` or `wss://host`, as URLs. Raises ValueError."""
    urls: list[str] = []
    for part in _parts(text):
        parts = urlsplit(part if "://" in part else f"tls://{part}")
        if parts.scheme not in ("tls", "nats", *_WEB_PORTS) or not _is_host(parts.hostname) or "@" in parts.netloc:
            raise ValueError(part)
        if parts.query or parts.fragment or (parts.path and parts.scheme not in _WEB_PORTS):
            raise ValueError(part)
        port = parts.port or _WEB_PORTS.get(parts.scheme, BROKER_PORT)
        urls.append(f"{parts.scheme}://{_bracketed(parts.hostname or '')}:{port}{parts.path}")
    return tuple(urls)


def host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def is_everywhere(host: str) -> bool:
    """All addresses of this machine, which is none that can be dialled from elsewhere."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def lan_address() -> str | None:
    """Of this machine, as others in its network reach it; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE, 9))
            found = str(probe.getsockname()[0])
        except OSError:
            return None
    return None if ipaddress.ip_address(found).is_loopback else found


def _listener(part: str) -> Listener:
    parts = urlsplit(part if "://" in part else f"tls://{part}")
    if parts.scheme not in ("tls", *_WEB_PORTS) or parts.path or parts.port is None or "@" in parts.netloc:
        raise ValueError(part)
    if parts.hostname is None or not _is_host(parts.hostname):
        raise ValueError(part)
    return Listener(parts.hostname, parts.port, parts.scheme)


def _is_host(host: str | None) -> bool:
    return host is not None and _HOST.fullmatch(host) is not None


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,;]+", text) if part]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
