"""Styles of users and of servers, with their earlier versions. A name is found as a person would mean it: case and
spacing do not count."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from pydantic import ValidationError

from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.style_names import KeptStyle, StyleLevel, StyleOwner, StyleVersion
from bot.domain.styles import Style, StyleParameters, style_key
from bot.errors import UserFacingError
from bot.storage.database import Database, Row
from bot.storage.style_writing import VERSIONS_KEPT, Saved, first_row, id_of, living, require_room, save_style

__all__ = ["KEPT_AFTER_DELETING_S", "VERSIONS_KEPT", "Saved", "Styles"]

log = logging.getLogger(__name__)

KEPT_AFTER_DELETING_S = 30 * 24 * 3600.0
_WHOLE = (
    "SELECT s.*, v.prompt, v.negative_prompt, v.parameters FROM styles s "
    "JOIN style_versions v ON v.style_id = s.id AND v.version = s.version "
)


class Styles:
    def __init__(
        self,
        database: Database,
        *,
        per_user: int = DEFAULT_LIMITS.max_styles_per_user,
        per_server: int = DEFAULT_LIMITS.max_styles_per_server,
    ) -> None:
        self._db = database
        self.limits = {StyleLevel.USER: per_user, StyleLevel.SERVER: per_server}

    # --- reading ------------------------------------------------------------------------------------------------------

    async def list(self, owner: StyleOwner) -> list[KeptStyle]:
        """In the order of their names."""
        return _readable(
            await self._db.all(
                _WHOLE + "WHERE s.level = ? AND s.owner_id = ? AND s.deleted_at IS NULL ORDER BY s.name_key",
                (owner.level, owner.id),
            )
        )

    async def get(self, owner: StyleOwner, name: str) -> KeptStyle | None:
        rows = await self._db.all(
            _WHOLE + "WHERE s.level = ? AND s.owner_id = ? AND s.name_key = ? AND s.deleted_at IS NULL",
            (owner.level, owner.id, style_key(name)),
        )
        return next(iter(_readable(rows)), None)

    async def by_ref(self, ref: str, *, deleted: bool = False) -> KeptStyle | None:
        """With `deleted` only one that was deleted and can be taken back."""
        if not ref.isdecimal():
            return None
        state = "NOT NULL" if deleted else "NULL"
        rows = await self._db.all(_WHOLE + f"WHERE s.id = ? AND s.deleted_at IS {state}", (int(ref),))
        return next(iter(_readable(rows)), None)

    async def versions(self, ref: str) -> list[StyleVersion]:
        """The newest first."""
        rows = await self._db.all(
            "SELECT v.*, s.name FROM style_versions v JOIN styles s ON s.id = v.style_id WHERE v.style_id = ? "
            "ORDER BY v.version DESC",
            (int(ref),),
        )
        return [StyleVersion(row["version"], _style(row), row["made_by"], row["made_at"]) for row in rows]

    # --- writing ------------------------------------------------------------------------------------------------------

    async def save(
        self,
        owner: StyleOwner,
        style: Style,
        *,
        author_id: int,
        replace: bool = False,
        preview_image_id: str | None = None,
    ) -> Saved:
        """With `replace` a style of that name gets a new version. Raises UserFacingError: `style_exists` without it,
        `styles_full`."""
        async with self._db.write() as tx:
            return await save_style(
                tx, owner, style, author_id, self.limits[owner.level], replace=replace, preview=preview_image_id
            )

    async def save_own(
        self, user_id: int, style: Style, *, replace: bool = False, preview_image_id: str | None = None
    ) -> Saved:
        """As `save`, for the user's own."""
        return await self.save(
            StyleOwner.user(user_id), style, author_id=user_id, replace=replace, preview_image_id=preview_image_id
        )

    async def save_all(
        self, owner: StyleOwner, styles: Iterable[Style], *, author_id: int, replace: bool
    ) -> tuple[list[Saved], list[Style]]:
        """What was saved, and what was not: taken names without `replace`, and what is beyond the limit."""
        saved: list[Saved] = []
        left: list[Style] = []
        async with self._db.write() as tx:
            for style in styles:
                try:
                    saved.append(
                        await save_style(tx, owner, style, author_id, self.limits[owner.level], replace=replace)
                    )
                except UserFacingError:
                    left.append(style)
        return saved, left

    async def rename(self, ref: str, new_name: str) -> None:
        """Raises UserFacingError: `style_exists`, `style_gone`. Another spelling of the same name is no conflict."""
        async with self._db.write() as tx:
            row = await living(tx, ref)
            taken = await id_of(tx, StyleOwner(StyleLevel(row["level"]), row["owner_id"]), style_key(new_name))
            if taken is not None and taken != row["id"]:
                raise UserFacingError("style_exists", name=new_name)
            await tx.execute(
                "UPDATE styles SET name = ?, name_key = ?, updated_at = ? WHERE id = ?",
                (new_name, style_key(new_name), time.time(), row["id"]),
            )

    async def restore_version(self, ref: str, version: int, *, author_id: int) -> Saved:
        """The earlier version becomes the newest one; nothing of what lies between is lost.

        Raises UserFacingError: `style_gone`, `style_version_gone`."""
        async with self._db.write() as tx:
            row = await living(tx, ref)
            older = await first_row(
                tx, "SELECT * FROM style_versions WHERE style_id = ? AND version = ?", (row["id"], version)
            )
            if older is None:
                raise UserFacingError("style_version_gone")
            style = Style(
                name=row["name"],
                prompt=older["prompt"],
                negative_prompt=older["negative_prompt"],
                parameters=StyleParameters.model_validate_json(older["parameters"]),
            )
            owner = StyleOwner(StyleLevel(row["level"]), row["owner_id"])
            return await save_style(tx, owner, style, author_id, self.limits[owner.level], replace=True)

    async def delete(self, ref: str) -> bool:
        """Whether this very call did it. It can be taken back for a month."""
        now = time.time()
        async with self._db.write() as tx:
            await tx.execute(
                "DELETE FROM style_versions WHERE style_id IN (SELECT id FROM styles WHERE deleted_at < ?)",
                (now - KEPT_AFTER_DELETING_S,),
            )
            await tx.execute("DELETE FROM styles WHERE deleted_at < ?", (now - KEPT_AFTER_DELETING_S,))
            cursor = await tx.execute(
                "UPDATE styles SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", (now, int(ref))
            )
            return cursor.rowcount == 1

    async def undelete(self, ref: str) -> None:
        """One that is there already stays. Raises UserFacingError: `style_gone`, `style_exists`, `styles_full`."""
        async with self._db.write() as tx:
            row = await first_row(tx, "SELECT * FROM styles WHERE id = ?", (int(ref),))
            if row is None:
                raise UserFacingError("style_gone")
            if row["deleted_at"] is None:
                return
            owner = StyleOwner(StyleLevel(row["level"]), row["owner_id"])
            if await id_of(tx, owner, row["name_key"]) is not None:
                raise UserFacingError("style_exists", name=row["name"])
            await require_room(tx, owner, self.limits[owner.level])
            await tx.execute("UPDATE styles SET deleted_at = NULL WHERE id = ?", (row["id"],))


def _readable(rows: Iterable[Row]) -> list[KeptStyle]:
    found: list[KeptStyle] = []
    for row in rows:
        try:
            found.append(
                KeptStyle(
                    ref=str(row["id"]),
                    owner=StyleOwner(StyleLevel(row["level"]), row["owner_id"]),
                    style=_style(row),
                    version=row["version"],
                    author_id=row["author_id"],
                    preview_image_id=row["preview_image_id"],
                )
            )
        except ValidationError:
            log.exception("style %s cannot be read and is left out", row["id"])
    return found


def _style(row: Row) -> Style:
    parameters = StyleParameters.model_validate_json(row["parameters"])
    return Style(name=row["name"], prompt=row["prompt"], negative_prompt=row["negative_prompt"], parameters=parameters)
