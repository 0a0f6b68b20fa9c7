"""Rules, defaults and favourites of models, held in memory: every request and every autocomplete asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from bot.domain.model_rules import ModelDefaults, Rule, Rules, Scope
from bot.storage.database import Database

__all__ = ["ModelRules"]

Renamed = Callable[[str, str, str], Awaitable[None]]
_BY_FILE = ("model_rules", "model_favourites", "model_tests")
"""A test's button enables its file, so it goes the way of that file's rules."""


class ModelRules:
    """One bot alone writes these tables, so what is in memory is what is stored; `load` comes first.

    Who reads never waits and never sees half of a change: every change is stored first, one at a time.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._turn = asyncio.Lock()
        self._rules: dict[tuple[int, Scope, int, str], bool] = {}
        self._defaults: dict[tuple[int, int], ModelDefaults] = {}
        self._favourites: dict[int, frozenset[str]] = {}
        self._followers: list[Renamed] = []
        self.rules = Rules()

    async def load(self) -> None:
        async with self._turn:
            await self._again()

    # --- rules --------------------------------------------------------------------------------------------------------

    async def put(self, rule: Rule) -> None:
        async with self._turn:
            await self._db.write_one(
                "INSERT INTO model_rules (guild_id, scope, target_id, file_id, enabled) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET enabled = excluded.enabled",
                (rule.guild_id, rule.scope, rule.target_id, rule.file_id, int(rule.enabled)),
            )
            self._rules[rule.guild_id, rule.scope, rule.target_id, rule.file_id] = rule.enabled
            self._renew()

    async def drop(self, guild_id: int, scope: Scope, target_id: int, file_id: str) -> bool:
        """Whether there was one."""
        async with self._turn:
            await self._db.write_one(
                "DELETE FROM model_rules WHERE guild_id = ? AND scope = ? AND target_id = ? AND file_id = ?",
                (guild_id, scope, target_id, file_id),
            )
            there = self._rules.pop((guild_id, scope, target_id, file_id), None) is not None
            self._renew()
            return there

    def of(self, guild_id: int, file_id: str | None = None) -> list[Rule]:
        """A server's rules, or those about one file."""
        return [
            Rule(guild, scope, target, file, enabled)
            for (guild, scope, target, file), enabled in self._rules.items()
            if guild == guild_id and file_id in (None, file)
        ]

    # --- defaults -----------------------------------------------------------------------------------------------------

    @property
    def defaults(self) -> Mapping[tuple[int, int], ModelDefaults]:
        """By (guild, channel), with channel 0 for the whole server."""
        return self._defaults

    async def set_defaults(self, guild_id: int, channel_id: int, defaults: ModelDefaults) -> None:
        async with self._turn:
            if defaults.empty:
                await self._db.write_one(
                    "DELETE FROM model_defaults WHERE guild_id = ? AND channel_id = ?", (guild_id, channel_id)
                )
                self._defaults.pop((guild_id, channel_id), None)
                return
            await self._db.write_one(
                "INSERT INTO model_defaults (guild_id, channel_id, checkpoint, vae, clip_skip) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET checkpoint = excluded.checkpoint, vae = excluded.vae, "
                "clip_skip = excluded.clip_skip",
                (guild_id, channel_id, defaults.checkpoint, defaults.vae, defaults.clip_skip),
            )
            self._defaults[guild_id, channel_id] = defaults

    # --- favourites ---------------------------------------------------------------------------------------------------

    def favourites(self, guild_id: int | None) -> frozenset[str]:
        """Ids of files."""
        return self._favourites.get(guild_id, frozenset()) if guild_id is not None else frozenset()

    async def set_favourite(self, guild_id: int, file_id: str, *, on: bool) -> bool:
        """Whether that changed anything."""
        async with self._turn:
            before = self.favourites(guild_id)
            if on:
                await self._db.write_one(
                    "INSERT OR IGNORE INTO model_favourites (guild_id, file_id) VALUES (?, ?)", (guild_id, file_id)
                )
            else:
                await self._db.write_one(
                    "DELETE FROM model_favourites WHERE guild_id = ? AND file_id = ?", (guild_id, file_id)
                )
            self._favourites[guild_id] = before | {file_id} if on else before - {file_id}
            return self._favourites[guild_id] != before

    def follow_names(self, renamed: Renamed) -> None:
        """`renamed` is told kind, earlier and new name of every file that gets another name."""
        self._followers.append(renamed)

    # --- names and ids that change ------------------------------------------------------------------------------------

    async def renamed(self, old_id: str, new_id: str, kind: str, old_name: str, new_name: str) -> None:
        """A file's rules, favourites, tests and places as a default go with it."""
        async with self._turn:
            async with self._db.write() as tx:
                if new_id != old_id:
                    # What an earlier file of that path left behind is not this one's.
                    for table in _BY_FILE:
                        await tx.execute(f"DELETE FROM {table} WHERE file_id = ?", (new_id,))  # noqa: S608
                        await tx.execute(f"UPDATE {table} SET file_id = ? WHERE file_id = ?", (new_id, old_id))  # noqa: S608
                if kind in ("checkpoint", "vae"):
                    await tx.execute(f"UPDATE model_defaults SET {kind} = ? WHERE {kind} = ?", (new_name, old_name))  # noqa: S608
            await self._again()
        if new_name != old_name:
            for renamed in self._followers:
                await renamed(kind, old_name, new_name)

    async def forget(self, file_ids: Iterable[str]) -> None:
        """Of files that are gone for good: another one on the same path inherits nothing."""
        async with self._turn:
            async with self._db.write() as tx:
                gone = [(file_id,) for file_id in file_ids]
                for table in _BY_FILE:
                    await tx.executemany(f"DELETE FROM {table} WHERE file_id = ?", gone)  # noqa: S608
            await self._again()

    async def _again(self) -> None:
        """`self._turn` is held."""
        rules = {
            (row["guild_id"], Scope(row["scope"]), row["target_id"], row["file_id"]): bool(row["enabled"])
            for row in await self._db.all("SELECT * FROM model_rules")
        }
        defaults = {
            (row["guild_id"], row["channel_id"]): ModelDefaults(row["checkpoint"], row["vae"], row["clip_skip"])
            for row in await self._db.all("SELECT * FROM model_defaults")
        }
        favourites: dict[int, frozenset[str]] = {}
        for row in await self._db.all("SELECT * FROM model_favourites"):
            favourites[row["guild_id"]] = favourites.get(row["guild_id"], frozenset()) | {row["file_id"]}
        self._rules, self._defaults, self._favourites = rules, defaults, favourites
        self._renew()

    def _renew(self) -> None:
        self.rules = Rules.of(Rule(*key, enabled) for key, enabled in self._rules.items())
