"""The rules of every server: few, read at each request, so they are kept in memory and written through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pydantic import ValidationError

from bot.domain.safety.rules import DEFAULT_RULES, ServerRules
from bot.storage.database import Database

__all__ = ["ServerRuleBook"]

log = logging.getLogger(__name__)


class ServerRuleBook:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._rules: dict[int, ServerRules] = {}
        self._turn = asyncio.Lock()

    async def load(self) -> None:
        for row in await self._db.all("SELECT guild_id, rules FROM server_rules"):
            try:
                self._rules[row["guild_id"]] = ServerRules.model_validate_json(row["rules"])
            except ValidationError:
                # Made by another version. Nothing it allowed is allowed until an admin says so again.
                log.exception("the rules of server %s cannot be read; the defaults hold there", row["guild_id"])

    def of(self, guild_id: int | None) -> ServerRules:
        """`None` and 0 are the operator's, which hold in direct messages."""
        return self._rules.get(guild_id or 0, DEFAULT_RULES)

    async def change(self, guild_id: int, change: Callable[[ServerRules], ServerRules]) -> ServerRules:
        """One at a time: two admins who change different things at once both keep their change."""
        async with self._turn:
            rules = change(self.of(guild_id))
            await self._db.write_one(
                "INSERT INTO server_rules (guild_id, rules) VALUES (?, ?) "
                "ON CONFLICT (guild_id) DO UPDATE SET rules = excluded.rules",
                (guild_id, rules.model_dump_json()),
            )
            self._rules[guild_id] = rules
            return rules
