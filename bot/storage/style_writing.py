"""Writing a style within a transaction that does more: a version, an approval, many at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import aiosqlite

from bot.domain.style_names import StyleLevel, StyleOwner
from bot.domain.styles import Style, style_key
from bot.errors import UserFacingError
from bot.storage.database import Row

__all__ = ["VERSIONS_KEPT", "Saved", "first_row", "id_of", "living", "require_room", "save_style"]

VERSIONS_KEPT = 20
"""Of one style; pictures need none of them, for each carries its whole texts."""


@dataclass(frozen=True, slots=True)
class Saved:
    ref: str
    version: int
    change: Literal["new", "changed", "same"]


async def save_style(
    tx: aiosqlite.Connection,
    owner: StyleOwner,
    style: Style,
    author_id: int,
    limit: int,
    *,
    replace: bool,
    preview: str | None = None,
) -> Saved:
    """Within a transaction; as `Styles.save`."""
    key, now = style_key(style.name), time.time()
    parameters = style.parameters.model_dump_json(exclude_none=True)
    content = (style.prompt, style.negative_prompt, parameters)
    style_id = await id_of(tx, owner, key)
    if style_id is None:
        await require_room(tx, owner, limit)
        cursor = await tx.execute(
            "INSERT INTO styles (level, owner_id, name, name_key, version, author_id, preview_image_id, created_at, "
            "updated_at) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)",
            (owner.level, owner.id, style.name, key, author_id, preview, now, now),
        )
        assert cursor.lastrowid is not None
        await _add_version(tx, cursor.lastrowid, 1, content, author_id, now)
        return Saved(str(cursor.lastrowid), 1, "new")
    if not replace:
        raise UserFacingError("style_exists", name=style.name)
    newest = await first_row(
        tx,
        "SELECT v.* FROM style_versions v JOIN styles s ON s.id = v.style_id AND s.version = v.version WHERE s.id = ?",
        (style_id,),
    )
    assert newest is not None
    same = tuple(newest[name] for name in ("prompt", "negative_prompt", "parameters")) == content
    version = newest["version"] if same else newest["version"] + 1
    await tx.execute(
        "UPDATE styles SET name = ?, version = ?, updated_at = ?, preview_image_id = coalesce(?, preview_image_id) "
        "WHERE id = ?",
        (style.name, version, now, preview, style_id),
    )
    if same:
        return Saved(str(style_id), version, "same")
    await _add_version(tx, style_id, version, content, author_id, now)
    await tx.execute(
        "DELETE FROM style_versions WHERE style_id = ? AND version <= ?", (style_id, version - VERSIONS_KEPT)
    )
    return Saved(str(style_id), version, "changed")


async def _add_version(
    tx: aiosqlite.Connection, style_id: int, version: int, content: tuple[str, str, str], author_id: int, now: float
) -> None:
    await tx.execute(
        "INSERT INTO style_versions (style_id, version, prompt, negative_prompt, parameters, made_by, made_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (style_id, version, *content, author_id, now),
    )


async def require_room(tx: aiosqlite.Connection, owner: StyleOwner, limit: int) -> None:
    row = await first_row(
        tx,
        "SELECT count(*) AS n FROM styles WHERE level = ? AND owner_id = ? AND deleted_at IS NULL",
        (owner.level, owner.id),
    )
    assert row is not None
    if row["n"] >= limit:
        raise UserFacingError("styles_full" if owner.level is StyleLevel.USER else "styles_full_server", limit=limit)


async def living(tx: aiosqlite.Connection, ref: str) -> Row:
    row = await first_row(tx, "SELECT * FROM styles WHERE id = ? AND deleted_at IS NULL", (int(ref),))
    if row is None:
        raise UserFacingError("style_gone")
    return row


async def id_of(tx: aiosqlite.Connection, owner: StyleOwner, key: str) -> int | None:
    row = await first_row(
        tx,
        "SELECT id FROM styles WHERE level = ? AND owner_id = ? AND name_key = ? AND deleted_at IS NULL",
        (owner.level, owner.id, key),
    )
    return None if row is None else int(row["id"])


async def first_row(tx: aiosqlite.Connection, sql: str, values: tuple[object, ...]) -> Row | None:
    async with tx.execute(sql, values) as cursor:
        return await cursor.fetchone()
