"""What members would like their server to have, until an admin decides; and imports that wait to be confirmed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from bot.domain.ids import new_image_id
from bot.domain.style_files import read_styles, write_json
from bot.domain.style_names import StyleLevel, StyleOwner
from bot.domain.styles import Style, StyleParameters, style_key
from bot.errors import UserFacingError
from bot.storage.database import Database, Row
from bot.storage.style_writing import Saved, save_style
from bot.storage.styles import Styles

__all__ = ["WAITING_PER_MEMBER", "WAITING_PER_SERVER", "Import", "Proposal", "StyleImports", "StyleProposals"]

WAITING_PER_MEMBER = 5
WAITING_PER_SERVER = 100
IMPORT_KEPT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """`state` is waiting, approved or refused."""

    id: int
    guild_id: int
    user_id: int
    style: Style
    state: str


class StyleProposals:
    def __init__(self, database: Database, styles: Styles) -> None:
        self._db = database
        self._styles = styles

    async def propose(self, guild_id: int, user_id: int, style: Style) -> bool:
        """Another proposal of that name by the same member takes the place of the first. Whether it is a new one.

        Raises UserFacingError: `proposals_full`, `proposals_full_server`."""
        now, key = time.time(), style_key(style.name)
        parameters = style.parameters.model_dump_json(exclude_none=True)
        async with self._db.write() as tx:
            cursor = await tx.execute(
                "UPDATE style_proposals SET name = ?, prompt = ?, negative_prompt = ?, parameters = ?, created_at = ? "
                "WHERE guild_id = ? AND user_id = ? AND name_key = ? AND state = 'waiting'",
                (style.name, style.prompt, style.negative_prompt, parameters, now, guild_id, user_id, key),
            )
            if cursor.rowcount:
                return False
            async with tx.execute(
                "SELECT count(*) AS n, coalesce(sum(user_id = ?), 0) AS own FROM style_proposals "
                "WHERE guild_id = ? AND state = 'waiting'",
                (user_id, guild_id),
            ) as counted:
                row = await counted.fetchone()
            assert row is not None
            if row["own"] >= WAITING_PER_MEMBER:
                raise UserFacingError("proposals_full", n=WAITING_PER_MEMBER)
            if row["n"] >= WAITING_PER_SERVER:
                raise UserFacingError("proposals_full_server")
            await tx.execute(
                "INSERT INTO style_proposals (guild_id, user_id, name, name_key, prompt, negative_prompt, parameters, "
                "state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', ?)",
                (guild_id, user_id, style.name, key, style.prompt, style.negative_prompt, parameters, now),
            )
            return True

    async def waiting(self, guild_id: int) -> list[Proposal]:
        """The oldest first."""
        rows = await self._db.all(
            "SELECT * FROM style_proposals WHERE guild_id = ? AND state = 'waiting' ORDER BY id", (guild_id,)
        )
        return [_proposal(row) for row in rows]

    async def of(self, guild_id: int, user_id: int) -> list[Proposal]:
        """One member's last ones, the newest first."""
        rows = await self._db.all(
            "SELECT * FROM style_proposals WHERE guild_id = ? AND user_id = ? ORDER BY id DESC LIMIT 10",
            (guild_id, user_id),
        )
        return [_proposal(row) for row in rows]

    async def decide(self, id_: int, guild_id: int, by: int, *, approve: bool) -> tuple[Proposal, Saved | None]:
        """Approved, it is the server's from the same moment on, as a new version where the name is taken.

        Raises UserFacingError: `proposal_decided` (somebody was faster, or it was taken back), `styles_full_server`."""
        async with self._db.write() as tx:
            async with tx.execute(
                "UPDATE style_proposals SET state = ?, decided_at = ?, decided_by = ? "
                "WHERE id = ? AND guild_id = ? AND state = 'waiting' RETURNING *",
                ("approved" if approve else "refused", time.time(), by, id_, guild_id),
            ) as cursor:
                row = await cursor.fetchone()
            if row is None:
                raise UserFacingError("proposal_decided")
            proposal = _proposal(row)
            if not approve:
                return proposal, None
            owner, limit = StyleOwner.server(guild_id), self._styles.limits[StyleLevel.SERVER]
            return proposal, await save_style(tx, owner, proposal.style, proposal.user_id, limit, replace=True)


@dataclass(frozen=True, slots=True)
class Import:
    owner: StyleOwner
    styles: tuple[Style, ...]


class StyleImports:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: int, wanted: Import) -> str:
        id_, now = str(new_image_id()), time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM style_imports WHERE created_at < ?", (now - IMPORT_KEPT_S,))
            await tx.execute(
                "INSERT INTO style_imports (id, user_id, level, owner_id, styles, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (id_, user_id, wanted.owner.level, wanted.owner.id, write_json(wanted.styles).decode(), now),
            )
        return id_

    async def take(self, id_: str, user_id: int) -> Import:
        """It can be taken once. Raises UserFacingError (`style_import_gone`)."""
        rows = await self._db.write_one(
            "DELETE FROM style_imports WHERE id = ? AND user_id = ? RETURNING *", (id_, user_id)
        )
        if not rows:
            raise UserFacingError("style_import_gone")
        row = rows[0]
        styles = read_styles(row["styles"].encode()).styles if json.loads(row["styles"])["styles"] else ()
        return Import(StyleOwner(StyleLevel(row["level"]), row["owner_id"]), styles)


def _proposal(row: Row) -> Proposal:
    style = Style(
        name=row["name"],
        prompt=row["prompt"],
        negative_prompt=row["negative_prompt"],
        parameters=StyleParameters.model_validate_json(row["parameters"]),
    )
    return Proposal(row["id"], row["guild_id"], row["user_id"], style, row["state"])
