"""What was asked for, as a file: read in portions on a connection of its own and written as it comes. For a thread."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from bot.domain.tables import csv_line
from bot.storage.usage import reading

__all__ = ["ROWS_MAX", "LogFilter", "LogFormat", "Written", "write_log"]

ROWS_MAX = 100_000
"""The newest are written; a narrower filter finds the others."""
_PORTION = 500
LogFormat = Literal["csv", "jsonl"]


@dataclass(frozen=True, slots=True)
class LogFilter:
    since: float = 0.0
    until: float | None = None
    user_id: int | None = None
    guild_id: int | None = None
    contains: str = ""
    """In the prompt or the negative prompt, whatever its case."""


@dataclass(frozen=True, slots=True)
class Entry:
    at: str
    job: str
    user_id: str
    """Text, because a spreadsheet rounds what is longer than 15 digits."""
    guild_id: str
    channel_id: str
    action: str
    status: str
    private: bool
    model: str
    prompt: str
    negative_prompt: str
    width: int | None
    height: int | None
    steps: int | None
    sampler: str
    cfg_scale: float | None
    seed: str
    count: int | None
    gpu_s: float | None


@dataclass(frozen=True, slots=True)
class Written:
    path: Path
    rows: int
    cut: bool
    """There were more than `ROWS_MAX`."""
    size_bytes: int


def write_log(database: Path, target: Path, wanted: LogFilter, form: LogFormat) -> Written:
    """A gzip file where `target` ends so. Complete under its name, or not there. Raises OSError, sqlite3.Error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    rows, cut = 0, False
    try:
        with _opened(part, packed=target.suffix == ".gz") as out:
            if form == "csv":
                out.write("\ufeff" + csv_line(tuple(Entry.__dataclass_fields__)))
            for entry in _entries(database, wanted):
                if rows == ROWS_MAX:
                    cut = True
                    break
                rows += 1
                line = asdict(entry)
                out.write(
                    csv_line(tuple(line.values())) if form == "csv" else json.dumps(line, ensure_ascii=False) + "\n"
                )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Written(target, rows, cut, target.stat().st_size)


def _opened(path: Path, *, packed: bool) -> IO[str]:
    if packed:
        return cast("IO[str]", gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=6))
    return path.open("w", encoding="utf-8", newline="")


def _entries(database: Path, wanted: LogFilter) -> Iterator[Entry]:
    """Newest first."""
    # Of a script itself and of each cell there is a line; its sheets say nothing more.
    conditions, values = ["created_at >= ?", "(script_id IS NULL OR place IS NOT NULL)"], [wanted.since]
    for column, value in (("user_id", wanted.user_id), ("guild_id", wanted.guild_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if wanted.until is not None:
        conditions.append("created_at < ?")
        values.append(wanted.until)
    sql = (
        "SELECT id, user_id, guild_id, channel_id, action, status, private, model, spec, run_s, created_at FROM jobs "  # noqa: S608
        f"WHERE {' AND '.join(conditions)} ORDER BY created_at DESC, rowid DESC"
    )
    sought = wanted.contains.casefold()
    with contextlib.closing(reading(database)) as connection:
        cursor = connection.execute(sql, values)
        while rows := cursor.fetchmany(_PORTION):
            for row in rows:
                entry = _entry(row)
                if not sought or sought in f"{entry.prompt}\n{entry.negative_prompt}".casefold():
                    yield entry


def _entry(row: Mapping[str, Any] | Any) -> Entry:
    try:
        spec: Any = json.loads(row["spec"])
    except ValueError:
        spec = {}
    said = cast("dict[str, Any]", spec if isinstance(spec, dict) else {})
    said = cast("dict[str, Any]", said.get("base", said))
    seed = said.get("seed")
    return Entry(
        at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["created_at"])),
        job=row["id"],
        user_id=str(row["user_id"]),
        guild_id=str(row["guild_id"] or ""),
        channel_id=str(row["channel_id"]),
        action=row["action"],
        status=row["status"],
        private=bool(row["private"]),
        model=row["model"],
        prompt=str(said.get("prompt") or ""),
        negative_prompt=str(said.get("negative_prompt") or ""),
        width=said.get("width"),
        height=said.get("height"),
        steps=said.get("steps"),
        sampler=str(said.get("sampler") or ""),
        cfg_scale=said.get("cfg_scale"),
        seed="" if seed is None else str(seed),
        count=said.get("count"),
        gpu_s=row["run_s"],
    )
