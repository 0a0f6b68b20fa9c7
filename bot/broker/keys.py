"""What the rest of the bot asks of the broker: keys of machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from gpu_worker.protocol.nats.invite import Invite

__all__ = ["BrokerError", "Keys"]


class BrokerError(Exception):
    def __init__(self, reason: Literal["unreachable", "refused", "unwritable", "address", "long"], detail: str) -> None:
        """`unreachable`: it takes the keys up as soon as it is there again; `refused`: it does not take our
        configuration; `unwritable`: our folder; `address`: PINCEL_BROKER_ADDRESS has to say what machines dial;
        `long`: an invite with this certificate is too long for one message. `detail` is for the log."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Keys(Protocol):
    looked_after: bool
    """False: somebody else's broker, where keys are entered by hand; `snippet` says what."""
    addresses: tuple[str, ...]
    """What machines dial, as it stands in invites; without secrets."""

    async def invite(self, machine: str) -> tuple[Invite, str]:
        """A new key, in its invite, and its public half. Nothing is kept here: it works once `allow` was told. Raises
        ValueError for a name that no machine may have, BrokerError."""
        ...

    async def allow(self, keys: Mapping[str, str]) -> None:
        """All machines with their public keys; every other is cut off at once, where we look after the broker. Raises
        BrokerError."""
        ...

    def snippet(self, machine: str, public_key: str) -> str:
        """Lines for the configuration of a broker that is not ours: a user."""
        ...
