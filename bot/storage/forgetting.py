"""What "forget me" takes out of the database. Every table that knows a person is named here, or a test fails.

A table's statements are run with `:user` (the person's id) or with `:jobs` (a JSON list of ids of their jobs, some at a
time); children stand before what they point to. What other people made of a person's pictures is theirs and stays; only
what pointed to the person's own rows is cut.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from bot.domain.ids import JobId, UserId
from bot.storage.database import Database
from bot.storage.spending import COUNTED_JOBS, PICTURES_OF_JOB

__all__ = ["FORGOTTEN_TABLES", "KEPT_TABLES", "NOBODY", "Forgetting"]

NOBODY = 0
"""Stands for somebody who asked to be forgotten, where a record has to stay."""
JOBS_AT_ONCE = 50
"""A transaction of this many is over in some milliseconds, so nobody waits for it."""

_OF_JOBS = "(SELECT value FROM json_each(:jobs))"
_IMAGES = f"(SELECT id FROM images WHERE job_id IN {_OF_JOBS})"  # noqa: S608

FORGOTTEN_TABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "favourites": (
            f"DELETE FROM favourites WHERE image_id IN {_IMAGES}",  # noqa: S608
            "DELETE FROM favourites WHERE user_id = :user",
        ),
        # Their files went first (`Trainings.remove`).
        "training_files": (f"DELETE FROM training_files WHERE job_id IN {_OF_JOBS}",),  # noqa: S608
        "trainings": (
            f"UPDATE trainings SET retry_of = NULL WHERE retry_of IN {_OF_JOBS}",  # noqa: S608
            f"UPDATE trainings SET comparison_id = NULL WHERE comparison_id IN {_OF_JOBS}",  # noqa: S608
            f"DELETE FROM trainings WHERE job_id IN {_OF_JOBS}",  # noqa: S608
            "DELETE FROM trainings WHERE user_id = :user",
        ),
        "partials": (f"DELETE FROM partials WHERE job_id IN {_OF_JOBS}",),  # noqa: S608
        "attempts": (f"DELETE FROM attempts WHERE job_id IN {_OF_JOBS}",),  # noqa: S608
        "model_tests": (f"DELETE FROM model_tests WHERE job_id IN {_OF_JOBS}",),  # noqa: S608
        "drafts": (
            f"UPDATE drafts SET source_image_id = NULL WHERE source_image_id IN {_IMAGES}",  # noqa: S608
            f"UPDATE drafts SET parent_id = NULL WHERE parent_id IN {_OF_JOBS}",  # noqa: S608
            "DELETE FROM drafts WHERE user_id = :user",
        ),
        "script_offers": (
            f"UPDATE script_offers SET source_image_id = NULL WHERE source_image_id IN {_IMAGES}",  # noqa: S608
            f"UPDATE script_offers SET parent_id = NULL WHERE parent_id IN {_OF_JOBS}",  # noqa: S608
            "DELETE FROM script_offers WHERE user_id = :user",
        ),
        "deletion_items": (f"DELETE FROM deletion_items WHERE image_id IN {_IMAGES}",),  # noqa: S608
        "star_posts": (f"DELETE FROM star_posts WHERE job_id IN {_OF_JOBS}",),  # noqa: S608
        "history_prompts": (f"DELETE FROM history_prompts WHERE job_id IN {_OF_JOBS}",),  # noqa: S608
        "picture_looks": (f"DELETE FROM picture_looks WHERE image_id IN {_IMAGES}",),  # noqa: S608
        "images": (
            f"UPDATE images SET parent_image_id = NULL WHERE parent_image_id IN {_IMAGES}",  # noqa: S608
            f"UPDATE jobs SET source_image_id = NULL WHERE source_image_id IN {_IMAGES}",  # noqa: S608
            f"DELETE FROM images WHERE job_id IN {_OF_JOBS}",  # noqa: S608
        ),
        # How much was drawn in the last day stays for that day: or forgetting would fill up every quota again.
        "spending_kept": (
            (
                "INSERT INTO spending_kept (user_id, guild_id, at, pictures, gpu_s) "  # noqa: S608
                f"SELECT user_id, guild_id, created_at, {PICTURES_OF_JOB}, coalesce(run_s, 0) FROM jobs "
                f"WHERE id IN {_OF_JOBS} AND created_at > unixepoch() - 86400 AND {COUNTED_JOBS}"
            ),
        ),
        "jobs": (
            f"UPDATE jobs SET parent_id = NULL WHERE parent_id IN {_OF_JOBS}",  # noqa: S608
            f"DELETE FROM jobs WHERE id IN {_OF_JOBS}",  # noqa: S608
            f"UPDATE jobs SET cancel_by = {NOBODY} WHERE cancel_by = :user",  # noqa: S608
        ),
        # A moderator may have deleted pictures of others, which are deleted all the same.
        "deletions": (f"UPDATE deletions SET user_id = {NOBODY} WHERE user_id = :user",),  # noqa: S608
        "exports": ("DELETE FROM exports WHERE user_id = :user",),
        "history_desks": ("DELETE FROM history_desks WHERE user_id = :user",),
        "training_desks": ("DELETE FROM training_desks WHERE user_id = :user",),
        "datasets": ("DELETE FROM datasets WHERE user_id = :user",),  # folders, pictures and changes go with it
        "finds": ("DELETE FROM finds WHERE user_id = :user",),
        "style_versions": (
            (
                "DELETE FROM style_versions WHERE style_id IN "
                "(SELECT id FROM styles WHERE level = 'user' AND owner_id = :user)"
            ),
            f"UPDATE style_versions SET made_by = {NOBODY} WHERE made_by = :user",  # noqa: S608
        ),
        "styles": (
            "DELETE FROM styles WHERE level = 'user' AND owner_id = :user",
            f"UPDATE styles SET author_id = {NOBODY} WHERE author_id = :user",  # noqa: S608
        ),
        "style_proposals": (
            "DELETE FROM style_proposals WHERE user_id = :user",
            f"UPDATE style_proposals SET decided_by = {NOBODY} WHERE decided_by = :user",  # noqa: S608
        ),
        "style_imports": ("DELETE FROM style_imports WHERE user_id = :user",),
        "last_tweaks": ("DELETE FROM last_tweaks WHERE user_id = :user",),
        "next_pictures": ("DELETE FROM next_pictures WHERE user_id = :user",),
        "tag_uses": ("DELETE FROM tag_uses WHERE user_id = :user",),
        "tag_boards": ("DELETE FROM tag_boards WHERE user_id = :user",),
        "caption_editors": ("DELETE FROM caption_editors WHERE user_id = :user",),
        "model_shelves": ("DELETE FROM model_shelves WHERE user_id = :user",),
        "preferences": ("DELETE FROM preferences WHERE level = 'user' AND owner_id = :user",),
        "library_usage": ("DELETE FROM library_usage WHERE user_id = :user",),
        # Files that others draw with, and what admins did for their servers, stay; by whom is forgotten.
        "library_records": ("UPDATE library_records SET added_by = NULL WHERE added_by = :user",),
        "library_trash": (
            (
                "UPDATE library_trash SET record = json_set(record, '$.added_by', NULL) "
                "WHERE json_extract(record, '$.added_by') = :user"
            ),
        ),
        "downloads": (
            (
                "UPDATE downloads SET wish = json_set(wish, '$.asked_by', NULL) "
                "WHERE json_extract(wish, '$.asked_by') = :user"
            ),
        ),
        "download_cards": (
            (
                f"UPDATE download_cards SET user_id = {NOBODY}, token = NULL, told_at = coalesce(told_at, 0) "  # noqa: S608
                "WHERE user_id = :user"
            ),
        ),
        "model_audit": (f"UPDATE model_audit SET user_id = {NOBODY} WHERE user_id = :user",),  # noqa: S608
        "admin_audit": (f"UPDATE admin_audit SET user_id = {NOBODY} WHERE user_id = :user",),  # noqa: S608
        "admin_panels": ("DELETE FROM admin_panels WHERE user_id = :user",),
        "server_setups": (f"UPDATE server_setups SET user_id = {NOBODY} WHERE user_id = :user",),  # noqa: S608
        # A ban outlives the wish to be forgotten, or that would end it; who banned is forgotten. What moderation did
        # stays without names, the refused texts go.
        "bans": (
            "DELETE FROM bans WHERE user_id = :user AND until < unixepoch()",
            f"UPDATE bans SET banned_by = {NOBODY} WHERE banned_by = :user",  # noqa: S608
        ),
        "safety_events": (
            f"UPDATE safety_events SET user_id = {NOBODY}, detail = '{{}}' WHERE user_id = :user",  # noqa: S608
            f"UPDATE safety_events SET done_by = {NOBODY} WHERE done_by = :user",  # noqa: S608
        ),
        "appeals": (
            "DELETE FROM appeals WHERE user_id = :user",
            f"UPDATE appeals SET decided_by = {NOBODY} WHERE decided_by = :user",  # noqa: S608
        ),
        "starboards": (f"UPDATE starboards SET changed_by = {NOBODY} WHERE changed_by = :user",),  # noqa: S608
        "server_retention": (
            f"UPDATE server_retention SET changed_by = {NOBODY} WHERE changed_by = :user",  # noqa: S608
        ),
        "queue_gates": (f"UPDATE queue_gates SET changed_by = {NOBODY} WHERE changed_by = :user",),  # noqa: S608
    }
)
"""Table → statements. `users` itself is taken last, see `Forgetting.finish`."""

KEPT_TABLES: Mapping[str, str] = MappingProxyType(
    {
        "forgettings": "who asked to be forgotten, until that is done and they were told; then it goes by itself",
    }
)
"""Table → why a person's rows stay in it."""


class Forgetting:
    def __init__(self, database: Database) -> None:
        self._db = database

    async def jobs_of(self, user_id: UserId, limit: int = JOBS_AT_ONCE) -> list[JobId]:
        rows = await self._db.all("SELECT id FROM jobs WHERE user_id = ? LIMIT ?", (user_id, limit))
        return [JobId(row["id"]) for row in rows]

    async def forget_jobs(self, jobs: list[JobId]) -> Counter[str]:
        """Takes these jobs and everything that hangs on them; returns how many rows of each table went or changed.
        Their files and messages must be gone already: nothing knows of them afterwards."""
        return await self._run(":jobs", {"jobs": json.dumps(jobs)})

    async def finish(self, user_id: UserId) -> Counter[str]:
        """Takes everything else, once no job is left. Repeating it is harmless."""
        return await self._run(":user", {"user": user_id})

    async def _run(self, about: str, values: Mapping[str, object]) -> Counter[str]:
        changed: Counter[str] = Counter()
        async with self._db.write() as tx:
            for table, statements in FORGOTTEN_TABLES.items():
                for statement in statements:
                    if about in statement:
                        cursor = await tx.execute(statement, values)
                        changed[table] += max(cursor.rowcount, 0)
            if about == ":user":
                await tx.execute(
                    "DELETE FROM users WHERE id = :user AND NOT EXISTS (SELECT 1 FROM jobs WHERE user_id = :user)",
                    values,
                )
        return changed
