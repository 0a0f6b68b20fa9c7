"""Keys of a broker that is not there: what it would let in, told by the bot, is what a test looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from bot.broker.keys import BrokerError
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import Invite

__all__ = ["GivenKeys"]


class GivenKeys:
    addresses = ("192.168.0.20:4222",)

    def __init__(self, *, looked_after: bool = True) -> None:
        self.looked_after = looked_after
        self.allowed: dict[str, str] = {}
        """As it was told last."""
        self.told: list[dict[str, str]] = []
        self.trouble: BrokerError | None = None
        """Of being told."""
        self.no_invite: BrokerError | None = None
        self.urls: tuple[str, ...] = ("tls://192.168.0.20:4222",)
        self._made = 0

    async def invite(self, machine: str) -> tuple[Invite, str]:
        if self.no_invite is not None:
            raise self.no_invite
        self._made += 1
        letters = hashlib.sha256(f"{machine}{self._made}".encode()).hexdigest()[:56].upper()
        key = letters.translate(str.maketrans("0189", "ABCD"))
        return Invite(machine, Access(self.urls, "SU" + key)), "U" + key[:55]

    async def allow(self, keys: Mapping[str, str]) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.allowed = dict(keys)
        self.told.append(self.allowed)

    def snippet(self, machine: str, public_key: str) -> str:
        return f"{{ nkey: {public_key} }} # {machine}"
