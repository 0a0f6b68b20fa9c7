"""Which addresses may be connected to."""

from __future__ import annotations

from typing import Protocol

__all__ = ["AddressPolicy", "PublicAddresses"]


class AddressPolicy(Protocol):
    def allows(self, address: str) -> bool:
        """An IPv4 or IPv6 address as text; a zone may follow it."""
        ...


class PublicAddresses:
    def allows(self, address: str) -> bool:
        raise NotImplementedError
