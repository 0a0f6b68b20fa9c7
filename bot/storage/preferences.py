"""What users, channels, servers and the operator have set, held in memory: every request asks for it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from bot.domain.model_rules import Where
from bot.domain.preferences import CHECKPOINT, CLIP_SKIP, KEYS, LANGUAGE, VAE, Key, Level, Resolved, Said, resolve
from bot.domain.preferences import owners as owners_at
from bot.storage.database import Database
from bot.storage.model_rules import ModelRules

__all__ = ["Preferences"]

log = logging.getLogger(__name__)

T = TypeVar("T")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_OF_MODELS = (CHECKPOINT, VAE, CLIP_SKIP)


class Preferences:
    """One bot alone writes this table, so what is in memory is what is stored; `load` comes first.

    Reading never waits and sees no half of a change. A value that this version cannot read, or a key that it does not
    know, is left in the table and counts as unsaid.
    """

    def __init__(self, database: Database, model_rules: ModelRules) -> None:
        self._db = database
        self._models = model_rules
        self._turn = asyncio.Lock()
        self._said: dict[tuple[Level, int], Mapping[str, Any]] = {}
        model_rules.follow_names(self.renamed)

    async def load(self) -> None:
        async with self._turn:
            found: dict[tuple[Level, int], dict[str, Any]] = {}
            for row in await self._db.all("SELECT level, owner_id, key, value FROM preferences"):
                key = KEYS.get(row["key"])
                level = Level(row["level"])
                if key is None or level not in key.levels:
                    continue
                try:
                    value = key.kind.read(json.loads(row["value"]))
                except ValueError:
                    log.warning("the preference %s of %s %s cannot be read", key.name, level, row["owner_id"])
                    continue
                found.setdefault((level, row["owner_id"]), {})[key.name] = value
            self._said = {owner: MappingProxyType(said) for owner, said in found.items()}

    # --- reading ------------------------------------------------------------------------------------------------------

    def get(self, where: Where, key: Key[T]) -> T:
        return self.resolve(where, key).value

    def resolve(self, where: Where, key: Key[T], levels: Iterable[Level] = Level) -> Resolved[T]:
        """What holds for that user there, and whose word it is. Models may be gone or disabled: see the studio."""
        return resolve(self.said_at(where), where, key, levels)

    def said_at(self, where: Where) -> Said:
        """What everybody who has a say there has said, the models of server and channels included."""
        return {(level, owner_id): self._whole(level, owner_id, where.guild_id) for level, owner_id in owners_at(where)}

    def said(self, level: Level, owner_id: int) -> Mapping[str, Any]:
        """One owner's own words, without the models of /model-admin."""
        return self._said.get((level, owner_id), _NOTHING)

    def language(self, user_id: int) -> str | None:
        """What the user chose over their Discord's."""
        return self.said(Level.USER, user_id).get(LANGUAGE.name)

    def _whole(self, level: Level, owner_id: int, guild_id: int | None) -> Mapping[str, Any]:
        said = self.said(level, owner_id)
        if guild_id is None or level not in (Level.SERVER, Level.CHANNEL):
            return said
        models = self._models.defaults.get((guild_id, owner_id if level is Level.CHANNEL else 0))
        if models is None:
            return said
        wishes = {key.name: getattr(models, key.name) for key in _OF_MODELS}
        return {**said, **{name: wish for name, wish in wishes.items() if wish is not None}}

    # --- writing ------------------------------------------------------------------------------------------------------

    async def put(self, level: Level, owner_id: int, key: Key[T], value: T | None) -> None:
        """None takes it back. Raises ValueError for a value that `key` does not take, for a level on which it may not
        be set, and for the models of servers and channels, which are ModelRules'."""
        if level not in key.levels or (key in _OF_MODELS and level in (Level.SERVER, Level.CHANNEL)):
            raise ValueError(f"{key.name} is not set on the level {level}")
        wish = None if value is None else key.kind.read(value)
        async with self._turn:
            if wish is None:
                await self._db.write_one(
                    "DELETE FROM preferences WHERE level = ? AND owner_id = ? AND key = ?", (level, owner_id, key.name)
                )
            else:
                await self._db.write_one(
                    "INSERT INTO preferences (level, owner_id, key, value, changed_at) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at",
                    (level, owner_id, key.name, json.dumps(wish), time.time()),
                )
            kept = {name: old for name, old in self.said(level, owner_id).items() if name != key.name}
            self._keep(level, owner_id, kept if wish is None else {**kept, key.name: wish})

    async def forget(self, level: Level, owner_id: int) -> int:
        """Everything that this owner set; how much that was."""
        async with self._turn:
            gone = await self._db.write_one(
                "DELETE FROM preferences WHERE level = ? AND owner_id = ? RETURNING key", (level, owner_id)
            )
            self._keep(level, owner_id, {})
            return len(gone)

    async def renamed(self, kind: str, old_name: str, new_name: str) -> None:
        """A model that somebody set goes by another name now."""
        names = [key.name for key in KEYS.values() if getattr(key.kind, "model_kind", None) == kind]
        async with self._turn:
            async with self._db.write() as tx:
                for name in names:
                    await tx.execute(
                        "UPDATE preferences SET value = ? WHERE key = ? AND value = ?",
                        (json.dumps(new_name), name, json.dumps(old_name)),
                    )
            for (level, owner_id), said in [*self._said.items()]:
                if any(said.get(name) == old_name for name in names):
                    swapped = {
                        name: new_name if name in names and value == old_name else value for name, value in said.items()
                    }
                    self._keep(level, owner_id, swapped)

    def _keep(self, level: Level, owner_id: int, said: Mapping[str, Any]) -> None:
        """`self._turn` is held."""
        if said:
            self._said[level, owner_id] = MappingProxyType(dict(said))
        else:
            self._said.pop((level, owner_id), None)
