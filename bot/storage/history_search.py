"""Finding prompts by their words: SQLite's full-text index where there is one, else a plain look at each prompt.

The index is made and filled here and not by a migration, because not every SQLite has FTS5, and because old pictures
are many: they are added in the background, some at a time.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3

from bot.domain.history import searched_words
from bot.domain.ids import UserId
from bot.storage.database import Database
from bot.storage.facts import Facts
from bot.storage.prompt_sql import ALL_PROMPTS

__all__ = ["HistorySearch"]

log = logging.getLogger(__name__)

BATCH = 500
PAUSE_S = 0.05
"""Between two batches, so that a filling index is never in anybody's way."""
PURGE_STEPS, PURGE_PAGES = 1000, 64
_FILLED = "history:filled"
_INDEX = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS history_fts USING fts5(who, prompt, content='history_prompts', "
    "content_rowid='n', tokenize='unicode61 remove_diacritics 2')"
)
_TRIGGERS = {
    "history_fts_add": (
        "CREATE TRIGGER IF NOT EXISTS history_fts_add AFTER INSERT ON history_prompts BEGIN "
        "INSERT INTO history_fts (rowid, who, prompt) VALUES (new.n, new.who, new.prompt); END"
    ),
    "history_fts_remove": (
        "CREATE TRIGGER IF NOT EXISTS history_fts_remove AFTER DELETE ON history_prompts BEGIN "
        "INSERT INTO history_fts (history_fts, rowid, who, prompt) VALUES ('delete', old.n, old.who, old.prompt); END"
    ),
}
_WORD = re.compile(r"\w")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Scripts without spaces between words: a whole sentence would be one word of the index."""


class HistorySearch:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._facts = Facts(database)
        self._indexed = False
        self.filled = False
        """Whether old pictures can be found, too."""

    async def prepare(self) -> None:
        """Makes the index, once. A database that comes from a machine with FTS5 to one without goes on without it."""
        had = await self._db.one("SELECT 1 FROM sqlite_master WHERE name = 'history_fts'")
        triggers = await self._db.one("SELECT 1 FROM sqlite_master WHERE name = 'history_fts_add'")
        try:
            async with self._db.write() as tx:
                await tx.execute(_INDEX)
                await tx.execute_fetchall("SELECT rowid FROM history_fts LIMIT 1")
                for trigger in _TRIGGERS.values():
                    await tx.execute(trigger)
                if triggers is None:
                    # New, or written without the index for a while.
                    await tx.execute("INSERT INTO history_fts (history_fts) VALUES ('rebuild')")
        except sqlite3.OperationalError as error:
            log.warning("prompts are searched without an index: %s", error)
            async with self._db.write() as tx:
                for name in _TRIGGERS:
                    await tx.execute(f"DROP TRIGGER IF EXISTS {name}")
        else:
            self._indexed = True
            if had is None:
                log.info("the index of prompts was made")
        self.filled = await self._facts.get(_FILLED) is not None

    async def fill(self) -> None:
        """Adds the jobs of before, newest first, and ends. Repeating it, or a crash in between, is harmless."""
        if self.filled:
            return
        row = await self._db.one("SELECT max(rowid) AS n FROM jobs")
        top = int(row["n"] or 0) if row else 0
        while top > 0:
            await self._db.write_one(
                "INSERT OR IGNORE INTO history_prompts (job_id, user_id, prompt) "  # noqa: S608
                f"SELECT id, user_id, {ALL_PROMPTS} FROM jobs "
                "WHERE rowid > ? AND rowid <= ? AND json_valid(spec) "
                "AND EXISTS (SELECT 1 FROM images WHERE images.job_id = jobs.id)",
                (top - BATCH, top),
            )
            top -= BATCH
            await asyncio.sleep(PAUSE_S)
        await self._facts.put(_FILLED, "1")
        self.filled = True

    async def purge(self) -> None:
        """Takes the words of deleted prompts out of the index's older parts, too, in bounded steps."""
        if not self._indexed:
            return
        for step in range(PURGE_STEPS):
            pages = -PURGE_PAGES if step == 0 else PURGE_PAGES
            async with self._db.write() as tx:
                before = tx.total_changes
                await tx.execute("INSERT INTO history_fts (history_fts, rank) VALUES ('merge', ?)", (pages,))
                if tx.total_changes - before < 2:  # how FTS5 says that nothing was left to do
                    return

    def condition(self, user_id: UserId, text: str) -> tuple[str, list[object]]:
        """SQL over `jobs` for the prompts that contain all words of `text`, and its values; words may be cut short."""
        words = searched_words(text)
        if self._indexed and words and all(_WORD.search(word) and not _UNSPACED.search(word) for word in words):
            quoted = " ".join('"{}"*'.format(word.replace('"', " ")) for word in words)
            return (
                "jobs.id IN (SELECT job_id FROM history_prompts WHERE n IN "
                "(SELECT rowid FROM history_fts WHERE history_fts MATCH ?))"
            ), [f'who : "u{user_id}" AND prompt : ({quoted})']
        return self.containing(user_id, *words)

    @staticmethod
    def containing(user_id: UserId, *parts: str) -> tuple[str, list[object]]:
        """The same for prompts that contain each of `parts`, letter by letter."""
        likes = " AND ".join(["prompt LIKE ? ESCAPE '\\'"] * len(parts)) or "1"
        return f"jobs.id IN (SELECT job_id FROM history_prompts WHERE user_id = ? AND {likes})", [  # noqa: S608
            user_id,
            *("%" + re.sub(r"[\\%_]", r"\\\g<0>", part) + "%" for part in parts),
        ]
