"""What is left when everybody has gone: counted from the bot's database and from what stands in the channels."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Found", "audit", "faults_in", "open_jobs"]

_OPEN = "('queued', 'assigned', 'done', 'delivering')"
_PICTURE = re.compile(r"([a-z0-9]{16})-(\d{1,2})(?:-[a-z0-9]+)?\.(?:png|webp|jpg)")
_FAULT = re.compile(r"^\S+ \S+ ERROR .*$", re.MULTILINE)


@dataclass
class Found:
    jobs: Counter[str] = field(default_factory=Counter[str])
    """By status."""
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])


def _rows(database: Path, sql: str) -> list[sqlite3.Row]:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql).fetchall()


def open_jobs(database: Path) -> int:
    return _rows(database, f"SELECT count(*) AS n FROM jobs WHERE status IN {_OPEN}")[0]["n"]


def audit(database: Path, messages: Iterable[Any]) -> Found:
    """`messages` are all that stand in the emulated Discord's channels."""
    jobs = _rows(database, "SELECT id, status, message_id, told_at, action FROM jobs")
    found = Found(Counter(str(job["status"]) for job in jobs))
    for job in jobs:
        untold = job["status"] in ("failed", "cancelled") and job["told_at"] is None
        if job["status"] not in ("delivered", "failed", "cancelled") or untold:
            found.lost.append(f"job {job['id']} ({job['action']}) is {job['status']}{', untold' if untold else ''}")
    posted: Counter[str] = Counter()
    for message in messages:
        if message.is_ephemeral:
            continue  # what somebody looks at for themselves
        names = {
            match[1] for each in message.attachments for match in [_PICTURE.fullmatch(str(each["filename"]))] if match
        }
        posted.update(names)
    found.doubled = [f"job {job} stands in {count} messages" for job, count in posted.items() if count > 1]
    return found


def faults_in(log: str) -> list[str]:
    """What the bot itself calls an error."""
    return _FAULT.findall(log)
