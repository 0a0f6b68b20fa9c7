"""Copies of a database that is written to, and the way back: whole, checked, never half."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bot.storage import backup as module
from bot.storage.backup import BadBackupError, backups_in, check_backup, make_backup
from bot.storage.database import open_database
from bot.storage.migrate import migrate
from bot.storage.restore import restore_backup

ENV = "PINCEL_WORKERS=2\n"


def fill(path: Path, word: str, waiting: int = 1) -> None:
    migrate(path)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO users VALUES (1, 'en-US', 0)")
        for n in range(waiting):
            connection.execute(
                "INSERT INTO jobs (id, action, lane, user_id, channel_id, locale, token, token_expires_at, spec, "
                "model, work_units, status, created_at) VALUES (?, 'imagine', 'interactive', 1, 1, 'en-US', "
                "'secrettoken', 9e9, ?, 'm', 1, 'queued', 0)",
                (f"{word}{n}", json.dumps({"prompt": word})),
            )
    connection.close()


def words(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = [row[0] for row in connection.execute("SELECT id FROM jobs ORDER BY id")]
    connection.close()
    return found


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "pincel.sqlite"
    path.parent.mkdir()
    fill(path, "before")
    return path


def copy(database: Path, keep: int = 5, at: float = 1_000_000_000.0):
    return make_backup(database, database.parent / "backups", ENV, keep=keep, now=lambda: at)


def test_a_copy_holds_everything_but_tokens(database, tmp_path):
    made = copy(database)
    with zipfile.ZipFile(made.path) as archive:
        assert sorted(archive.namelist()) == ["backup.json", "pincel.sqlite", "settings.env"]
        assert archive.read("settings.env").decode() == ENV
        assert b"secrettoken" not in archive.read("pincel.sqlite")
        archive.extract("pincel.sqlite", tmp_path)
    assert words(tmp_path / "pincel.sqlite") == ["before0"]
    assert made.path.name == "pincel-backup-20010909-014640.zip"
    assert check_backup(made.path)["made_at"] == 1_000_000_000.0
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name], "nothing else is left"


def test_only_the_newest_are_kept(database):
    made = [copy(database, keep=2, at=1_000_000_000.0 + n) for n in range(4)]
    again = copy(database, keep=2, at=1_000_000_003.0)
    assert {one.path for one in backups_in(database.parent / "backups")} == {made[3].path, again.path}
    (database.parent / "backups" / "pincel-backup-99999999-000000.zip").write_bytes(b"")
    (database.parent / "backups" / "mine.zip").write_bytes(b"")
    assert len(backups_in(database.parent / "backups")) == 2, "other files are not ours to count"


def test_what_a_dead_process_left_goes_and_another_ones_work_stays(database):
    folder = database.parent / "backups"
    folder.mkdir()
    old, other = folder / ".backup-under-way-1.sqlite", folder / ".backup-under-way-2.zip.part"
    for path, age_s in ((old, 2 * 86_400), (other, 60)):
        path.write_bytes(b"x")
        os.utime(path, (1_000_000_000 - age_s,) * 2)
    copy(database)
    assert (old.exists(), other.exists()) == (False, True)


async def test_it_is_taken_beside_a_running_bot_and_waits_for_nobody(database):
    opened = await open_database(database)
    async with opened.write() as tx:  # an open transaction of the bot
        await tx.execute("INSERT INTO facts VALUES ('half', 'done')")
        made = copy(database)
    await opened.close()
    connection = sqlite3.connect(":memory:")
    with zipfile.ZipFile(made.path) as archive:
        connection.deserialize(archive.read("pincel.sqlite"))
    assert connection.execute("SELECT count(*) FROM facts WHERE key = 'half'").fetchone() == (0,)
    connection.close()


def test_a_copy_comes_back_and_the_database_from_before_is_kept(database):
    made = copy(database)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE jobs SET id = 'after0'")
    connection.close()
    restored = restore_backup(made.path, database)
    assert words(database) == ["before0"]
    assert restored.aside is not None
    assert words(restored.aside) == ["after0"]
    assert restored.ended_jobs == 1
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT status, told_at > 0 FROM jobs").fetchall() == [("cancelled", 1)]
    connection.close()
    assert [path.name for path in database.parent.iterdir() if "restoring" in path.name] == []
    migrate(database)


def test_the_queue_is_kept_where_that_is_asked(database):
    assert restore_backup(copy(database).path, database, keep_queue=True).ended_jobs == 0


def test_what_the_log_of_a_killed_bot_holds_is_put_aside_too_and_does_not_reach_the_new_one(database):
    made = copy(database)
    program = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode=WAL')\n"
        "c.execute('PRAGMA wal_autocheckpoint=0')\n"
        "c.execute(\"UPDATE jobs SET id = 'inlog0'\")\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(database)], check=False)
    assert database.with_name("pincel.sqlite-wal").stat().st_size > 0
    restored = restore_backup(made.path, database)
    assert words(database) == ["before0"]
    assert restored.aside is not None
    assert words(restored.aside) == ["inlog0"]


def test_a_damaged_database_is_put_aside_as_it_is_and_is_never_a_copy(database):
    made = copy(database)
    database.write_bytes(b"no database at all" * 1000)
    with pytest.raises((BadBackupError, sqlite3.DatabaseError)):
        copy(database, at=2_000_000_000.0)
    assert len(backups_in(database.parent / "backups")) == 1
    restored = restore_backup(made.path, database)
    assert words(database) == ["before0"]
    assert restored.aside is not None
    assert restored.aside.read_bytes().startswith(b"no database")


def rewritten(made: Path, target: Path, **members: bytes | None) -> Path:
    names = {"manifest": "backup.json", "database": "pincel.sqlite"}
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(target, "w") as out:
        for info in source.infolist():
            key = next((key for key, name in names.items() if name == info.filename), None)
            data = members.get(key, source.read(info)) if key in members else source.read(info)
            if data is not None:
                out.writestr(info.filename, data)
    return target


def test_what_is_no_sound_copy_of_ours_changes_nothing(database, tmp_path):
    made = copy(database).path
    manifest = dict(check_backup(made))
    newer = {**manifest, "format": 99}
    with zipfile.ZipFile(made) as archive:
        data = archive.read("pincel.sqlite")
    other = tmp_path / "other.sqlite"
    fill(other, "x")
    with sqlite3.connect(other) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES ('2099-01-01-future', 0)")
    connection.close()
    future = other.read_bytes()
    import hashlib

    told = {**manifest, "sha256": hashlib.sha256(future).hexdigest()}
    half = len(data) // 2
    spoilt = data[:half] + bytes(255 - byte for byte in data[half : half + 200]) + data[half + 200 :]
    cases = {
        "foreign": rewritten(made, tmp_path / "a.zip", manifest=None),
        "newer": rewritten(made, tmp_path / "b.zip", manifest=json.dumps(newer).encode()),
        "damaged": rewritten(made, tmp_path / "c.zip", database=spoilt),
        "newer ": rewritten(made, tmp_path / "d.zip", database=future, manifest=json.dumps(told).encode()),
        "foreign ": rewritten(made, tmp_path / "e.zip", manifest=b"[1]"),
        "unreadable": tmp_path / "none.zip",
        "unreadable ": database,
    }
    for reason, path in cases.items():
        with pytest.raises(BadBackupError) as caught:
            restore_backup(path, database)
        assert caught.value.reason == reason.strip(), path
    cut = tmp_path / "cut.zip"
    cut.write_bytes(made.read_bytes()[:-200])
    with pytest.raises(BadBackupError):
        restore_backup(cut, database)
    assert words(database) == ["before0"]
    assert not list(database.parent.glob("*restoring*"))


def test_a_full_disk_is_told_before_anything_is_written(database, monkeypatch):
    made = copy(database)
    full = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: full)
    for work in (lambda: copy(database, at=2e9), lambda: restore_backup(made.path, database)):
        with pytest.raises(BadBackupError) as caught:
            work()
        assert caught.value.reason == "no_room"
    assert len(backups_in(database.parent / "backups")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, 9))
def test_killed_at_any_step_one_of_both_databases_is_there_whole(database, step):
    """A process that dies at the n-th change of a file."""
    made = copy(database)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE jobs SET id = 'after0'")
    connection.close()
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from bot.storage import restore\n"
        "left = int(sys.argv[3])\n"
        "def dying(real):\n"
        "    def call(*a, **k):\n"
        "        global left\n"
        "        left -= 1\n"
        "        if left == 0: os._exit(9)\n"
        "        return real(*a, **k)\n"
        "    return call\n"
        "for name in ('replace', 'unlink'): setattr(Path, name, dying(getattr(Path, name)))\n"
        "for name in ('sync', 'sync_folder', '_put_aside'): setattr(restore, name, dying(getattr(restore, name)))\n"
        "restore.restore_backup(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-c", program, str(made.path), str(database), str(step)],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False,
    )  # fmt: skip
    assert words(database) in (["before0"], ["after0"])
    restore_backup(made.path, database)
    assert words(database) == ["before0"]
