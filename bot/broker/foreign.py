"""Somebody else's broker: its users are entered by whoever looks after it."""

from __future__ import annotations

from collections.abc import Mapping

from bot.broker.configuration import user
from bot.broker.inviting import invited
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import Invite
from gpu_worker.protocol.nats.subjects import Subjects

__all__ = ["ForeignBroker"]


class ForeignBroker:
    looked_after = False

    def __init__(self, access: Access, addresses: tuple[str, ...], subjects: Subjects | None = None) -> None:
        self.access, self.addresses = access, addresses
        self._subjects = subjects or Subjects()

    async def __aenter__(self) -> ForeignBroker:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def invite(self, machine: str) -> tuple[Invite, str]:
        return invited(machine, self.addresses, self.access.ca_pem, self.access.server_name, self._subjects)

    async def allow(self, keys: Mapping[str, str]) -> None:
        """Nothing: it is not ours to tell."""

    def snippet(self, machine: str, public_key: str) -> str:
        return user(machine, public_key, self._subjects)
