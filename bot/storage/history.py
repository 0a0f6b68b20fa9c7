"""Somebody's pictures, newest first: counted, paged, with their kin."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from bot.domain.history import Desk, Kin, Wanted
from bot.domain.ids import ChannelId, GuildId, ImageId, JobId, MessageId, UserId, new_image_id
from bot.storage.database import Database, Row
from bot.storage.history_search import HistorySearch
from bot.storage.prompt_sql import PICTURE_PROMPT

__all__ = ["Desks", "History", "Related", "Shot", "Span"]

log = logging.getLogger(__name__)

KEPT_S = 30 * 24 * 3600.0
KIN_MAX = 200
_COLUMNS = (
    "images.id, images.job_id, images.idx, images.path, images.sha256, images.width, images.height, "  # noqa: S608
    "images.size_bytes, images.seed, images.action, images.parent_image_id, images.pruned_at, jobs.user_id, "
    "jobs.guild_id, jobs.channel_id, jobs.message_id, jobs.private, jobs.model, jobs.created_at, jobs.stranded_at, "
    f"{PICTURE_PROMPT} AS prompt, "
    "EXISTS (SELECT 1 FROM favourites WHERE favourites.image_id = images.id AND favourites.user_id = ?) AS favourite"
)
_FROM = "FROM jobs JOIN images ON images.job_id = jobs.id"


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture with what its place in a list needs of its job."""

    id: ImageId
    job_id: JobId
    index: int
    path: str
    sha256: str
    width: int
    height: int
    size_bytes: int
    seed: int
    action: str
    parent_id: ImageId | None
    pruned: bool
    user_id: UserId
    guild_id: GuildId | None
    channel_id: ChannelId
    message_id: MessageId | None
    private: bool
    model: str
    prompt: str
    created_at: float
    stranded: bool
    favourite: bool
    """Of whoever looks."""


@dataclass(frozen=True, slots=True)
class Related:
    """A picture of a lineage, and where its card is: `message_id` None where it is gone or was only its user's."""

    kin: Kin
    user_id: UserId
    guild_id: GuildId | None
    channel_id: ChannelId
    message_id: MessageId | None
    private: bool
    """For its user's eyes alone: a private draft, or drawn in a direct message."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whose pictures may be seen. `channels` None: everywhere, for one's own; else what somebody made public there."""

    viewer: UserId
    owner: UserId
    guild_id: int | None = None
    channels: Collection[int] | None = None


class History:
    def __init__(self, database: Database, search: HistorySearch) -> None:
        self._db = database
        self._search = search

    async def count(self, span: Span, wanted: Wanted) -> int:
        where, values = self._where(span, wanted)
        row = await self._db.one(f"SELECT count(*) AS n {_FROM} WHERE {where}", values)
        return int(row["n"]) if row else 0

    async def page(self, span: Span, wanted: Wanted, first: int, count: int) -> list[Shot]:
        where, values = self._where(span, wanted)
        rows = await self._db.all(
            f"SELECT {_COLUMNS} {_FROM} WHERE {where} "
            "ORDER BY jobs.created_at DESC, jobs.id, images.idx LIMIT ? OFFSET ?",
            (span.viewer, *values, count, first),
        )
        return [_shot(row) for row in rows]

    async def ids(self, span: Span, wanted: Wanted, limit: int) -> list[ImageId]:
        where, values = self._where(span, wanted)
        rows = await self._db.all(
            f"SELECT images.id {_FROM} WHERE {where} ORDER BY jobs.created_at DESC, jobs.id, images.idx LIMIT ?",
            (*values, limit),
        )
        return [ImageId(row["id"]) for row in rows]

    async def get(self, span: Span, image_id: ImageId) -> Shot | None:
        """None, too, for one that may not be seen, or is deleted."""
        where, values = self._where(span, Wanted())
        row = await self._db.one(
            f"SELECT {_COLUMNS} {_FROM} WHERE images.id = ? AND {where}",
            (span.viewer, image_id, *values),
        )
        return _shot(row) if row else None

    async def these(self, span: Span, images: Sequence[ImageId]) -> list[Shot]:
        """Those of `images` that may be seen, in that order."""
        found: dict[str, Shot] = {}
        where, values = self._where(span, Wanted())
        for start in range(0, len(images), 500):
            part = images[start : start + 500]
            marks = ", ".join("?" * len(part))
            rows = await self._db.all(
                f"SELECT {_COLUMNS} {_FROM} WHERE images.id IN ({marks}) AND {where}",
                (span.viewer, *part, *values),
            )
            found |= {row["id"]: _shot(row) for row in rows}
        return [found[image_id] for image_id in images if image_id in found]

    async def neighbours(self, span: Span, wanted: Wanted, shot: Shot) -> tuple[ImageId | None, ImageId | None]:
        """The newer and the older picture beside this one in the list."""
        where, values = self._where(span, wanted)
        key = (shot.created_at, shot.job_id, shot.index)
        newer = await self._db.one(
            f"SELECT images.id {_FROM} WHERE {where} AND (-jobs.created_at, jobs.id, images.idx) < (-?, ?, ?) "
            "ORDER BY jobs.created_at ASC, jobs.id DESC, images.idx DESC LIMIT 1",
            (*values, *key),
        )
        older = await self._db.one(
            f"SELECT images.id {_FROM} WHERE {where} AND (-jobs.created_at, jobs.id, images.idx) > (-?, ?, ?) "
            "ORDER BY jobs.created_at DESC, jobs.id, images.idx LIMIT 1",
            (*values, *key),
        )
        return (ImageId(newer["id"]) if newer else None), (ImageId(older["id"]) if older else None)

    async def kin(self, image_id: ImageId) -> list[Related]:
        """The pictures that this one comes from, and those made of the same first one, deleted ones included."""
        rows = await self._db.all(
            "WITH RECURSIVE up (id, depth) AS (SELECT ?1, 0 UNION SELECT images.parent_image_id, depth + 1 FROM up "
            "JOIN images ON images.id = up.id WHERE images.parent_image_id IS NOT NULL AND depth < 100), "
            "root (id) AS (SELECT id FROM up ORDER BY depth DESC LIMIT 1), "
            "tree (id, depth) AS (SELECT id, 0 FROM root UNION SELECT images.id, depth + 1 FROM tree "
            "JOIN images ON images.parent_image_id = tree.id WHERE depth < 100 LIMIT ?2) "
            "SELECT images.id, images.parent_image_id, images.action, images.created_at, images.deleted_at, "
            "jobs.user_id, jobs.guild_id, jobs.channel_id, jobs.message_id, jobs.private, jobs.deleted_at AS job_gone "
            "FROM (SELECT id FROM tree UNION SELECT id FROM up) AS kin "
            "JOIN images ON images.id = kin.id JOIN jobs ON jobs.id = images.job_id",
            (image_id, KIN_MAX),
        )
        return [_related(row, image_id) for row in rows]

    async def count_stranded(self, user_id: UserId) -> int:
        row = await self._db.one(
            "SELECT count(*) AS n FROM jobs WHERE user_id = ? AND stranded_at IS NOT NULL AND deleted_at IS NULL",
            (user_id,),
        )
        return int(row["n"]) if row else 0

    def _where(self, span: Span, wanted: Wanted) -> tuple[str, list[object]]:
        parts = ["jobs.user_id = ?", "images.deleted_at IS NULL", "jobs.deleted_at IS NULL"]
        values: list[object] = [span.owner]
        if span.channels is not None:
            marks = ", ".join("?" * len(span.channels))
            parts.append(
                f"jobs.guild_id = ? AND jobs.private = 0 AND jobs.message_id IS NOT NULL AND jobs.stranded_at IS NULL "
                f"AND jobs.channel_id IN ({marks})"
            )
            values += [span.guild_id, *span.channels]
        if wanted.search:
            sql, more = self._search.condition(span.owner, wanted.search)
            parts.append(sql)
            values += more
        if wanted.lora:
            sql, more = self._search.containing(span.owner, f"<lora:{wanted.lora}")
            other, others = self._search.containing(span.owner, f"<lyco:{wanted.lora}")
            parts.append(f"({sql} OR {other})")
            values += [*more, *others]
        if wanted.model:
            parts.append("instr(lower(jobs.model), lower(?)) > 0")
            values.append(wanted.model)
        if wanted.since is not None:
            parts.append("jobs.created_at >= ?")
            values.append(wanted.since)
        if wanted.until is not None:
            parts.append("jobs.created_at < ?")
            values.append(wanted.until)
        if wanted.favourites:
            parts.append(
                "EXISTS (SELECT 1 FROM favourites WHERE favourites.image_id = images.id AND favourites.user_id = ?)"
            )
            values.append(span.viewer)
        if wanted.stranded:
            parts.append("jobs.stranded_at IS NOT NULL")
        return " AND ".join(parts), values


class Desks:
    """Where people are in their history; the buttons of a card are addresses of a line here."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def add(self, user_id: int, desk: Desk) -> str:
        id_, now = str(new_image_id()), time.time()
        async with self._db.write() as tx:
            await tx.execute("DELETE FROM history_desks WHERE created_at < ?", (now - KEPT_S,))
            await tx.execute(
                "INSERT INTO history_desks (id, user_id, state, created_at) VALUES (?, ?, ?, ?)",
                (id_, user_id, desk.model_dump_json(), now),
            )
        return id_

    async def get(self, id_: str, user_id: int) -> Desk | None:
        """None, too, for somebody else's, and for one that this version cannot read."""
        row = await self._db.one("SELECT state FROM history_desks WHERE id = ? AND user_id = ?", (id_, user_id))
        try:
            return Desk.model_validate_json(row["state"]) if row else None
        except ValidationError:
            log.warning("desk %s cannot be read", id_)
            return None

    async def change(self, id_: str, desk: Desk) -> None:
        await self._db.write_one("UPDATE history_desks SET state = ? WHERE id = ?", (desk.model_dump_json(), id_))


def _shot(row: Row) -> Shot:
    return Shot(
        id=ImageId(row["id"]),
        job_id=JobId(row["job_id"]),
        index=row["idx"],
        path=row["path"],
        sha256=row["sha256"],
        width=row["width"],
        height=row["height"],
        size_bytes=row["size_bytes"],
        seed=int(row["seed"]),
        action=row["action"],
        parent_id=ImageId(row["parent_image_id"]) if row["parent_image_id"] else None,
        pruned=row["pruned_at"] is not None,
        user_id=UserId(row["user_id"]),
        guild_id=GuildId(row["guild_id"]) if row["guild_id"] else None,
        channel_id=ChannelId(row["channel_id"]),
        message_id=MessageId(row["message_id"]) if row["message_id"] else None,
        private=bool(row["private"]),
        model=row["model"],
        prompt=row["prompt"],
        created_at=row["created_at"],
        stranded=row["stranded_at"] is not None,
        favourite=bool(row["favourite"]),
    )


def _related(row: Row, here: ImageId) -> Related:
    hidden = row["private"] or row["deleted_at"] or row["job_gone"]
    parent = ImageId(row["parent_image_id"]) if row["parent_image_id"] else None
    return Related(
        Kin(ImageId(row["id"]), parent, row["action"], row["created_at"], row["id"] == here),
        UserId(row["user_id"]),
        GuildId(row["guild_id"]) if row["guild_id"] else None,
        ChannelId(row["channel_id"]),
        MessageId(row["message_id"]) if row["message_id"] and not hidden else None,
        bool(row["private"]) or row["guild_id"] is None,
    )
