"""Migrations: applied once, in order, whole or not at all, with a copy of what was there before."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import exit_codes
from bot.errors import StartupError
from bot.storage import migrate as module
from bot.storage.migrate import applied_migrations, known_migrations, migrate


def step(number: int) -> str:
    return f"-- reason\nCREATE TABLE t{number} (x INTEGER) STRICT;\nINSERT INTO t{number} VALUES ({number});"


STEPS = {f"2026-01-{number:02}-step": step(number) for number in range(1, 7)}


def first(count: int) -> dict[str, str]:
    return dict(list(STEPS.items())[:count])


def look(path: Path) -> tuple[list[str], set[str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return applied_migrations(connection), tables - {"schema_migrations"}


def backups(path: Path) -> list[Path]:
    return sorted((path.parent / "backups").glob("*"))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, len(STEPS)), max_size=5))
def test_any_series_of_upgrades_ends_with_the_same_schema(versions):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pincel.sqlite"
        for count in sorted(versions):
            before = look(path)[0] if path.exists() else []
            done = migrate(path, first(count))
            assert done == list(STEPS)[len(before) : count]
        migrate(path, STEPS)
        assert look(path) == (list(STEPS), {f"t{n}" for n in range(1, 7)})
        assert migrate(path, STEPS) == []


@settings(deadline=None, max_examples=15)
@given(
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from(["CREATE TABLE t1 (x)", "NONSENSE", "INSERT INTO no VALUES (1)"]),
)
def test_failing_migration_rolls_back_with_its_bookkeeping_and_can_be_mended(done, failing, mistake):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pincel.sqlite"
        done = min(done, failing)
        migrate(path, first(done))
        name = list(STEPS)[failing]
        broken = {**STEPS, name: f"{STEPS[name]}\nCREATE TABLE half (x);\n{mistake};\n{mistake};"}
        with pytest.raises(sqlite3.DatabaseError):
            migrate(path, broken)
        assert look(path) == (list(STEPS)[:failing], {f"t{n}" for n in range(1, failing + 1)})
        migrate(path, STEPS)
        assert look(path)[0] == list(STEPS)


def test_backup_holds_what_was_there_before(tmp_path):
    path = tmp_path / "pincel.sqlite"
    migrate(path, first(2))
    assert backups(path) == []
    migrate(path, STEPS)
    (copy,) = backups(path)
    assert copy.name.endswith("-before-2026-01-03-step.sqlite")
    assert look(copy) == (list(STEPS)[:2], {"t1", "t2"})


def test_only_the_newest_backups_are_kept(tmp_path, monkeypatch):
    path = tmp_path / "pincel.sqlite"
    for count in range(1, 7):
        monkeypatch.setattr(module.time, "strftime", lambda *_, count=count: f"2026010{count}-000000")
        migrate(path, first(count))
    monkeypatch.undo()
    assert len(backups(path)) == module.BACKUPS_KEPT
    more = {**STEPS, "2026-02-01-more": step(7), "2026-02-02-more": step(8)}
    migrate(path, more)
    assert len(backups(path)) == module.BACKUPS_KEPT
    assert backups(path)[-1].name.endswith("-before-2026-02-01-more.sqlite")


def test_backup_that_fails_stops_the_upgrade_and_leaves_no_half_copy(tmp_path):
    path = tmp_path / "pincel.sqlite"
    migrate(path, first(2))
    (tmp_path / "backups").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="backups"):
        migrate(path, STEPS)
    assert look(path)[0] == list(STEPS)[:2]


def test_migration_of_a_newer_version_is_refused_before_anything_is_touched(tmp_path):
    path = tmp_path / "pincel.sqlite"
    migrate(path, STEPS)
    with pytest.raises(StartupError) as caught:
        migrate(path, {**first(3), "2027-01-01-new": step(9)})
    assert caught.value.exit_code == exit_codes.DATABASE
    assert "2026-01-04-step" in caught.value.sentence
    assert look(path)[0] == list(STEPS)
    assert backups(path) == []


def test_shipped_migrations_are_dated_and_leave_the_transaction_to_us():
    known = known_migrations()
    assert list(known) == sorted(known)
    for name, sql in known.items():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d-[a-z0-9-]+", name)
        assert not re.search(r"^\s*(BEGIN|COMMIT|ROLLBACK|VACUUM|PRAGMA)\b", sql, re.MULTILINE | re.IGNORECASE)


def test_shipped_schema_is_whole(tmp_path):
    path = tmp_path / "pincel.sqlite"
    migrate(path)
    _, tables = look(path)
    assert tables >= {"users", "styles", "jobs", "attempts", "images", "favourites", "partials", "timings", "facts"}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
