"""`python -m bot.backup_cli backup|restore …`. A copy is made beside a running bot, and put back only where none runs.

Exit codes: bot/exit_codes.py.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from bot import exit_codes
from bot.domain.amounts import size_text
from bot.errors import StartupError
from bot.i18n import Texts
from bot.operator_language import operator_texts, plain
from bot.settings import CHECKOUT, Settings, load_settings
from bot.storage.backup import BackupFile, BadBackupError, backups_in, check_backup, make_backup
from bot.storage.refusals import second_bot
from bot.storage.restore import restore_backup

__all__ = ["main", "run"]


def main(words: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")
    say = operator_texts()
    options = _parser(say).parse_args(words)
    try:
        settings = load_settings(CHECKOUT / ".env")
        return run(say, settings, options)
    except StartupError as error:
        sys.stderr.write(f"\n{error.sentence} {error.fix}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


def run(say: Texts, settings: Settings, options: argparse.Namespace) -> int:
    """What goes wrong is told in one sentence on stderr. Raises StartupError."""
    try:
        if options.command == "backup":
            return _list(say, settings) if options.list else _backup(say, settings)
        return _restore(say, settings, options)
    except BadBackupError as error:
        reason = say(f"backup.bad.{error.reason}", detail=plain(error.detail))
    except sqlite3.Error:
        reason = say("backup.bad.database", file=settings.database_path)
    except OSError as error:
        reason = say("backup.bad.disk", detail=plain(error.strerror or str(error)))
    sys.stderr.write(f"\n{reason}\n")
    return exit_codes.DATABASE


def _parser(say: Texts) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py")
    commands = parser.add_subparsers(dest="command", required=True)
    backup = commands.add_parser("backup", help=say("backup.help.backup"), description=say("backup.help.backup"))
    backup.add_argument("--list", action="store_true", help=say("backup.help.list"))
    restore = commands.add_parser("restore", help=say("backup.help.restore"), description=say("backup.help.restore"))
    restore.add_argument("file", nargs="?", type=Path, help=say("backup.help.file"))
    restore.add_argument("--keep-queue", action="store_true", help=say("backup.help.keep_queue"))
    return parser


def _backup(say: Texts, settings: Settings) -> int:
    if not settings.database_path.exists():
        sys.stderr.write(f"\n{say('backup.bad.none_yet', file=settings.database_path)}\n")
        return exit_codes.DATABASE
    made = make_backup(
        settings.database_path, settings.backups_dir, settings.without_secrets(), keep=settings.backup_keep
    )
    _out(say("backup.made", file=made.path, size=size_text(made.size_bytes)))
    return exit_codes.OK


def _list(say: Texts, settings: Settings) -> int:
    found = backups_in(settings.backups_dir)
    if not found:
        _out(say("backup.none", folder=settings.backups_dir))
    for one in found:
        _out(f"{_when(one)}  {size_text(one.size_bytes):>9}  {one.path}")
    return exit_codes.OK


def _restore(say: Texts, settings: Settings, options: argparse.Namespace) -> int:
    path: Path | None = options.file
    if path is None:
        newest = next(iter(backups_in(settings.backups_dir)), None)
        if newest is None:
            sys.stderr.write(f"\n{say('backup.none', folder=settings.backups_dir)}\n")
            return exit_codes.USAGE
        path = newest.path
    elif not path.is_absolute() and not path.exists():
        path = settings.backups_dir / path
    check_backup(path)
    settings.data.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.database_path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise second_bot(settings.data) from error
    try:
        restored = restore_backup(path, settings.database_path, keep_queue=options.keep_queue)
    finally:
        lock.release()
    _out(say("backup.restored", file=path))
    if restored.aside is not None:
        _out(say("backup.aside", file=restored.aside))
    if restored.ended_jobs:
        _out(say("backup.ended", n=restored.ended_jobs))
    return exit_codes.OK


def _when(one: BackupFile) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(one.made_at))


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
