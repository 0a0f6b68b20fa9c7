"""Each user's own styles. A name is found as a person would mean it: case and spacing do not count."""

from __future__ import annotations

import logging
import sqlite3
import time

import aiosqlite
from pydantic import ValidationError
from rapidfuzz import fuzz, process

from bot.domain.ids import UserId
from bot.domain.styles import Style, StyleParameters, style_key
from bot.errors import UserFacingError
from bot.storage.database import Database, Row

__all__ = ["MAX_STYLES_PER_USER", "Styles"]

log = logging.getLogger(__name__)

MAX_STYLES_PER_USER = 100
_CLOSE_ENOUGH = 60.0


class Styles:
    def __init__(self, database: Database, *, limit: int = MAX_STYLES_PER_USER) -> None:
        self._db = database
        self._limit = limit

    async def save(self, user_id: UserId, style: Style, *, replace: bool = False) -> None:
        """Raises UserFacingError: `style_exists` without `replace`, `styles_full`."""
        key, now = style_key(style.name), time.time()
        async with self._db.write() as tx:
            earlier = await _name_of(tx, user_id, key)
            if earlier is not None and not replace:
                raise UserFacingError("style_exists", name=earlier)
            if earlier is None and await _count(tx, user_id) >= self._limit:
                raise UserFacingError("styles_full", limit=self._limit)
            await tx.execute("INSERT OR IGNORE INTO users (id, first_seen_at) VALUES (?, ?)", (user_id, now))
            await tx.execute(
                "INSERT INTO styles (user_id, name, name_key, prompt, negative_prompt, parameters, created_at, "
                "updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (user_id, name_key) DO UPDATE SET name = excluded.name, "
                "prompt = excluded.prompt, negative_prompt = excluded.negative_prompt, "
                "parameters = excluded.parameters, updated_at = excluded.updated_at",
                (
                    user_id, style.name, key, style.prompt, style.negative_prompt,
                    style.parameters.model_dump_json(exclude_none=True), now, now,
                ),
            )  # fmt: skip

    async def list(self, user_id: UserId) -> list[Style]:
        """In the order of their names."""
        rows = await self._db.all("SELECT * FROM styles WHERE user_id = ? ORDER BY name_key", (user_id,))
        found: list[Style] = []
        for row in rows:
            try:
                found.append(_style(row))
            except ValidationError:
                log.exception("style %s cannot be read and is left out", row["id"])
        return found

    async def names(self, user_id: UserId) -> list[str]:
        """For autocomplete: one look into an index."""
        rows = await self._db.all("SELECT name FROM styles WHERE user_id = ? ORDER BY name_key", (user_id,))
        return [str(row["name"]) for row in rows]

    async def get(self, user_id: UserId, name: str) -> Style:
        """Raises UserFacingError: `style_unknown`, or `style_unknown_closest` with the name that was probably meant."""
        row = await self._db.one("SELECT * FROM styles WHERE user_id = ? AND name_key = ?", (user_id, style_key(name)))
        if row is None:
            raise await self._unknown(user_id, name)
        return _style(row)

    async def rename(self, user_id: UserId, name: str, new_name: str) -> None:
        """Raises UserFacingError: those of `get`, `style_exists`. Another spelling of the same name is no conflict."""
        key, new_key = style_key(name), style_key(new_name)
        async with self._db.write() as tx:
            found = await _name_of(tx, user_id, key)
            taken = await _name_of(tx, user_id, new_key)
            if found is not None and taken is not None and new_key != key:
                raise UserFacingError("style_exists", name=taken)
            if found is not None:
                await tx.execute(
                    "UPDATE styles SET name = ?, name_key = ?, updated_at = ? WHERE user_id = ? AND name_key = ?",
                    (new_name, new_key, time.time(), user_id, key),
                )
        if found is None:
            raise await self._unknown(user_id, name)

    async def delete(self, user_id: UserId, name: str) -> None:
        """Raises UserFacingError as `get`."""
        async with self._db.write() as tx:
            cursor = await tx.execute(
                "DELETE FROM styles WHERE user_id = ? AND name_key = ?", (user_id, style_key(name))
            )
        if cursor.rowcount != 1:
            raise await self._unknown(user_id, name)

    async def _unknown(self, user_id: UserId, name: str) -> UserFacingError:
        closest = process.extractOne(
            name, await self.names(user_id), scorer=fuzz.WRatio, processor=style_key, score_cutoff=_CLOSE_ENOUGH
        )
        if closest is None:
            return UserFacingError("style_unknown", name=name)
        return UserFacingError("style_unknown_closest", name=name, closest=closest[0])


async def _name_of(tx: aiosqlite.Connection, user_id: UserId, key: str) -> str | None:
    async with tx.execute("SELECT name FROM styles WHERE user_id = ? AND name_key = ?", (user_id, key)) as cursor:
        row = await cursor.fetchone()
    return str(row["name"]) if row else None


async def _count(tx: aiosqlite.Connection, user_id: UserId) -> int:
    async with tx.execute("SELECT count(*) FROM styles WHERE user_id = ?", (user_id,)) as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _style(row: Row | sqlite3.Row) -> Style:
    return Style(
        name=row["name"],
        prompt=row["prompt"],
        negative_prompt=row["negative_prompt"],
        parameters=StyleParameters.model_validate_json(row["parameters"]),
    )
