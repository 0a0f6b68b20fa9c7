"""Which parts of the line are paused or draining. Asked on every hand-out, so it is kept in memory beside the table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bot.domain.queue_rules import ALL_SERVERS, GateState
from bot.errors import UserFacingError
from bot.storage.database import Database

__all__ = ["Gate", "QueueGates"]


@dataclass(frozen=True, slots=True)
class Gate:
    state: GateState
    changed_by: int
    changed_at: float


class QueueGates:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: Mapping[int, Gate] = MappingProxyType({})
        self._turn = asyncio.Lock()

    async def load(self) -> None:
        rows = await self._db.all("SELECT * FROM queue_gates")
        self._known = MappingProxyType(
            {row["guild_id"]: Gate(GateState(row["state"]), row["changed_by"], row["changed_at"]) for row in rows}
        )

    async def put(self, guild_id: int, state: GateState, by: int) -> bool:
        """Whether this call changed it: of two at once one does."""
        async with self._turn:
            if self.of(guild_id) is state:
                return False
            if state is GateState.RUNNING:
                await self._db.write_one("DELETE FROM queue_gates WHERE guild_id = ?", (guild_id,))
            else:
                await self._db.write_one(
                    "INSERT INTO queue_gates (guild_id, state, changed_by, changed_at) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (guild_id) DO UPDATE SET state = excluded.state, changed_by = excluded.changed_by, "
                    "changed_at = excluded.changed_at",
                    (guild_id, state, by, time.time()),
                )
            await self.load()
            return True

    def gate(self, guild_id: int | None) -> Gate | None:
        """The line's own; the operator's holds beside it."""
        return self._known.get(guild_id or ALL_SERVERS)

    def of(self, guild_id: int | None) -> GateState:
        gate = self.gate(guild_id)
        return gate.state if gate is not None else GateState.RUNNING

    def holds(self, guild_id: int | None) -> bool:
        """Whether a waiting job of this server (None: of a direct message) stays where it is."""
        return GateState.PAUSED in (self.of(ALL_SERVERS), self.of(guild_id))

    def require_open(self, guild_id: int | None) -> None:
        """Raises UserFacingError (`draining`, `draining_server`) where no new job is taken in."""
        if self.of(ALL_SERVERS) is GateState.DRAINING:
            raise UserFacingError("draining")
        if guild_id is not None and self.of(guild_id) is GateState.DRAINING:
            raise UserFacingError("draining_server")
