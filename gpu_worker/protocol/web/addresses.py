"""Which addresses may be connected to: those of the public internet, whatever clothes the others wear.

Sources: IANA's special-purpose registries for IPv4 and IPv6, RFC 6052 (NAT64), RFC 4291 (mapped addresses).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

__all__ = ["AddressPolicy", "PublicAddresses"]

_REFUSED_4 = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's own services, at an address that looks public
    )
)  # fmt: skip
_GLOBAL_6 = IPv6Network("2000::/3")
"""Nothing else has been given out."""
_REFUSED_6 = tuple(
    IPv6Network(net)
    for net in (
        "2001::/23",  # Teredo, ORCHID, benchmarks: none of it hosts files
        "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    )
)  # fmt: skip
_MAPPED = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""An IPv4 address in the last 32 bits, which is what the packets reach."""


class AddressPolicy(Protocol):
    def allows(self, address: str) -> bool:
        """An IPv4 or IPv6 address as text."""
        ...


class PublicAddresses:
    """No private, loopback, link-local, shared, multicast, reserved or metadata address, nor one that leads to it."""

    def allows(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address):
            if found.scope_id is not None:
                return False
            if not any(found in net for net in _MAPPED):
                return found in _GLOBAL_6 and not any(found in net for net in _REFUSED_6)
            found = IPv4Address(int(found) & 0xFFFFFFFF)
        return not any(found in net for net in _REFUSED_4)
