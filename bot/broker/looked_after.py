"""A broker whose configuration is ours: the bot's own child, or a server elsewhere that reads a folder of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from bot.addresses import Listener, host_of
from bot.broker.configuration import MAIN, SYSTEM_INBOX, ServerKind, user
from bot.broker.folder import BrokerFolder
from bot.broker.inviting import invited
from bot.broker.keys import BrokerError
from bot.broker.program import BrokerProgram
from bot.broker.reloading import Reloading
from gpu_worker.protocol.nats.access import BROKER_NAME, Access
from gpu_worker.protocol.nats.invite import Invite
from gpu_worker.protocol.nats.link import LinkTimes
from gpu_worker.protocol.nats.subjects import Subjects

__all__ = ["LookedAfterBroker"]

log = logging.getLogger(__name__)


class LookedAfterBroker:
    """Raises AuthorityDamagedError and OSError at its start."""

    looked_after = True

    def __init__(
        self,
        folder: BrokerFolder,
        *,
        listeners: tuple[Listener, ...],
        dial: tuple[str, ...],
        addresses: tuple[str, ...],
        kind: ServerKind | None = None,
        program: Path | None = None,
        subjects: Subjects | None = None,
        link_times: LinkTimes | None = None,
    ) -> None:
        """`dial` is where the bot finds it, `addresses` where machines do: none where nobody could say. `program` is
        the server that we run; None: somebody else runs one."""
        self._folder, self._listeners, self._kind = folder, listeners, kind or ServerKind()
        self._dial, self.addresses = dial, addresses
        self._subjects = subjects or Subjects()
        self._link_times = link_times
        self._turn = asyncio.Lock()
        self._reloading: Reloading | None = None
        self.program: BrokerProgram | None = None
        if program is not None:
            assert self._kind.log_file is not None, "a server of ours has its log"
            self.program = BrokerProgram(program, folder.served / MAIN, log_file=self._kind.log_file)

    @property
    def access(self) -> Access:
        """The bot's own; after the start."""
        return self._access

    async def start(self) -> None:
        hosts = [host_of(url) for url in (*self._dial, *self.addresses)]
        seeds, self._authority = await asyncio.to_thread(self._folder.prepare, self._listeners, hosts, self._kind)
        self._access = Access(self._dial, seeds.bot, self._authority, BROKER_NAME)
        if self.program is not None:
            await self.program.start()
        if self._kind.tells_system:
            system = Access(self._dial, seeds.system, self._authority, BROKER_NAME)
            self._reloading = Reloading(system, SYSTEM_INBOX, self._link_times)
            self._reloading.start()

    async def stop(self) -> None:
        if self._reloading is not None:
            await self._reloading.stop()
        if self.program is not None:
            await self.program.stop()

    async def __aenter__(self) -> LookedAfterBroker:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- Keys ---------------------------------------------------------------------------------------------------------

    async def invite(self, machine: str) -> tuple[Invite, str]:
        return invited(machine, self.addresses, self._authority, BROKER_NAME, self._subjects)

    async def allow(self, keys: Mapping[str, str]) -> None:
        async with self._turn:
            try:
                changed = await asyncio.to_thread(self._folder.allow, keys)
            except OSError as error:
                raise BrokerError("unwritable", str(error)) from error
            if self._reloading is not None:
                # Also where nothing changed: an earlier try may have found nobody.
                await self._reloading.reload()
            elif changed and self.program is not None and not self.program.hang_up():
                raise BrokerError("unreachable", "it does not run just now, and reads the keys when it starts")

    def snippet(self, machine: str, public_key: str) -> str:
        return user(machine, public_key, self._subjects)
