"""Why the database cannot be opened, as the sentence and the next step that the operator reads."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bot import exit_codes
from bot.errors import StartupError
from bot.operator_language import operator_texts

__all__ = ["folder_unwritable", "made_by_newer", "refusal_of", "result_code", "second_bot"]

_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNWRITABLE = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM,
)  # fmt: skip


def result_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def second_bot(folder: Path) -> StartupError:
    return _refusal("second_bot", exit_codes.SECOND_BOT, folder=folder)


def folder_unwritable(folder: Path, error: OSError) -> StartupError:
    return _refusal("folder_unwritable", exit_codes.DATABASE, folder=folder, cause=error.strerror or error)


def made_by_newer(path: Path, unknown: list[str]) -> StartupError:
    return _refusal("newer", exit_codes.DATABASE, file=path, migrations=", ".join(unknown))


def refusal_of(path: Path, error: sqlite3.DatabaseError) -> StartupError:
    code = result_code(error)
    if code in _LOCKED:
        return _refusal("locked", exit_codes.DATABASE, file=path)
    if code in _UNWRITABLE:
        return _refusal("unwritable", exit_codes.DATABASE, file=path)
    if code == sqlite3.SQLITE_ERROR:
        return _refusal("not_upgraded", exit_codes.DATABASE, file=path, cause=error)
    return _refusal("damaged", exit_codes.DATABASE, file=path, backups=path.parent / "backups")


def _refusal(reason: str, exit_code: int, **values: object) -> StartupError:
    say = operator_texts()
    key = f"startup.database.{reason}"
    return StartupError(say(f"{key}.sentence", **values), say(f"{key}.fix", **values), exit_code)
