"""`launch.py backup` and `restore` as processes: exit codes, sentences, and the lock of a running bot."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot import exit_codes
from bot.storage.backup import backups_in
from bot.storage.database import open_database
from bot.storage.migrate import migrate

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    migrate(folder / "pincel.sqlite")
    return folder


def cli(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "PINCEL_DATA": str(data), "PINCEL_BACKUP_KEEP": "2", "LC_ALL": "en_US.UTF-8",
        "DISCORD_TOKEN": "never.in.it", "PYTHONPATH": str(CHECKOUT),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "bot.backup_cli", *words], cwd=CHECKOUT, capture_output=True, text=True, env=environment
    )


def note(data: Path, value: str) -> None:
    with sqlite3.connect(data / "pincel.sqlite") as connection:
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('note', ?)", (value,))
    connection.close()


def noted(data: Path) -> str:
    connection = sqlite3.connect(data / "pincel.sqlite")
    (value,) = connection.execute("SELECT value FROM facts WHERE key = 'note'").fetchone()
    connection.close()
    return value


@pytest.mark.slow
def test_there_and_back(data):
    note(data, "first")
    done = cli(data, "backup")
    assert done.returncode == exit_codes.OK, done.stderr
    (made,) = backups_in(data / "backups")
    assert str(made.path) in done.stdout
    assert b"never.in.it" not in made.path.read_bytes()
    assert made.path.name in cli(data, "backup", "--list").stdout
    note(data, "second")
    done = cli(data, "restore", made.path.name)
    assert done.returncode == exit_codes.OK, done.stderr
    assert "before-restore" in done.stdout
    assert noted(data) == "first"


@pytest.mark.slow
async def test_nothing_is_put_back_while_a_bot_runs_but_copies_are_made(data):
    note(data, "first")
    bot = await open_database(data / "pincel.sqlite")
    try:
        assert cli(data, "backup").returncode == exit_codes.OK
        refused = cli(data, "restore")
        assert refused.returncode == exit_codes.SECOND_BOT
        assert "running" in refused.stderr
    finally:
        await bot.close()
    assert cli(data, "restore").returncode == exit_codes.OK


@pytest.mark.slow
def test_what_cannot_be_done_is_one_sentence(data, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"nothing")
    for words, code in (
        (("restore",), exit_codes.USAGE),
        (("restore", str(tmp_path / "x.zip")), exit_codes.DATABASE),
        (("restore", "no-such.zip"), exit_codes.DATABASE),
        (("nonsense",), exit_codes.USAGE),
    ):
        done = cli(data, *words)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
    (data / "pincel.sqlite").unlink()
    assert cli(data, "backup").returncode == exit_codes.DATABASE
