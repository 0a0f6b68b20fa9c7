"""What came of it: counted from the bot's database, its pictures, what users were told and what engines did."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from bot.dispatch.leases import Leases
from tests.chaos.conduct import Asked, Told, Watched, journal_of
from tests.chaos.engine import given_of, picture_of, trained_of
from tests.chaos.plan import DEADLY, Kind, Order, Plan

__all__ = ["Verdict", "judge"]

STARTS = Leases().max_crashes
TAKES_STARTS = DEADLY | {Kind.BOT_KILLED, Kind.BOT_STOPPED, Kind.BOT_FULL, Kind.MACHINE_FULL, Kind.MACHINE_ENDED}
"""A start that one of these hides from the bot is not counted against the job."""


@dataclass
class Verdict:
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    lies: list[str] = field(default_factory=list[str])
    litter: list[str] = field(default_factory=list[str])
    ends: dict[str, int] = field(default_factory=dict[str, int])
    """How many jobs ended how."""
    starts: int = 0
    """Drawings begun."""
    again: int = 0
    """Of those, begun although the job had been finished once: paid for in vain."""
    poison_starts: list[int] = field(default_factory=list[int])

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.lies or self.litter)


def judge(plan: Plan, watched: Watched, folder: Path) -> Verdict:
    found = Verdict(litter=list(watched.litter))
    lines = journal_of(folder)
    rows = _rows(folder / "bot" / "pincel.sqlite", "SELECT * FROM jobs")
    jobs = {str(row["id"]): row for row in rows}
    told: dict[str, list[Told]] = collections.defaultdict(list)
    for line in lines:
        if "told" in line:
            told[line["job"]].append(line)
    for asked in watched.asked:
        _judge_one(found, plan, asked, jobs, told)
    if not watched.settled and not found.lost:
        found.lost.append("somebody was not answered in time")
    _find_doubled(found, lines)
    _find_strangers(found, watched, rows)
    _count_drawn(found, plan, folder)
    files = sum(path.is_file() for path in (folder / "bot" / "outputs").rglob("*"))
    known = _rows(folder / "bot" / "pincel.sqlite", "SELECT count(*) AS n FROM images")[0]["n"]
    if watched.settled and files != known:
        found.litter.append(f"{files} pictures on the disk, {known} in the table")
    return found


def _judge_one(
    found: Verdict, plan: Plan, asked: Asked, jobs: dict[str, sqlite3.Row], told: dict[str, list[Told]]
) -> None:
    order, job = asked.order, asked.job
    if job is None:
        found.lost.append(f"{order.label}: nobody answered its user")
        return
    row, said = jobs.get(job), told.get(job, [])
    if row is None:
        found.lost.append(f"{order.label}: accepted as {job}, and not in the table")
        return
    if not said:
        found.lost.append(f"{order.label}: {row['status']} after {row['attempt']} starts, and its user was not told")
        return
    end = str(said[-1]["told"])
    found.ends[end] = found.ends.get(end, 0) + 1
    if end != row["status"]:
        found.lies.append(f"{order.label}: told {end}, and it is {row['status']}")
    if end == "cancelled" and not asked.cancel_asked:
        found.lies.append(f"{order.label}: cancelled, which nobody asked for")
    if asked.cancel_answer == "cancelled" and end != "cancelled":
        found.lies.append(f"{order.label}: its user was answered that it is cancelled, and then told {end}")
    if end == "failed" and not order.fails and not (order.steps and _found_no_room(plan, said[-1])):
        found.lies.append(
            f"{order.label}: nothing is wrong with it, and it failed ({said[-1]['why']}) after {row['attempt']} starts"
        )
    if end == "failed" and order.fails and said[-1]["why"] != order.fails and not _found_no_room(plan, said[-1]):
        found.lies.append(f"{order.label}: failed by {order.fails}, and its user was told {said[-1]['why']}")
    if end == "delivered":
        wanted = [hashlib.sha256(data).hexdigest() for data in _wanted(order)]
        if order.fails:
            found.lies.append(f"{order.label}: cannot be drawn, and was delivered")
        elif said[-1]["pictures"] != wanted:
            found.lies.append(f"{order.label}: delivered with other pictures")


def _found_no_room(plan: Plan, said: Told) -> bool:
    """True enough: that was the end of its last start."""
    return said["why"] == "disk_full" and any(fault.kind is Kind.MACHINE_FULL for fault in plan.faults)


def _wanted(order: Order) -> list[bytes]:
    if order.steps:
        return trained_of(order.label, order.steps)
    given = given_of(order.label, order.given_kb)
    return [picture_of(order.label, 7 + number, order.words, given) for number in range(order.count)]


def _find_doubled(found: Verdict, lines: list[Told]) -> None:
    """One word to each user. A life that was killed between its word and its note lets the next one say it again."""
    said: dict[str, Told] = {}
    sure: set[str] = set()
    for line in lines:
        if "sure" in line:
            sure.add(line["sure"])
        elif "told" in line:
            job, before = line["job"], said.get(line["job"])
            if job in sure:
                found.doubled.append(f"{job}: told again ({line['told']}) after it was noted as told")
            elif before is not None and before["life"] == line["life"]:
                found.doubled.append(f"{job}: told twice by one life")
            elif before is not None and {**before, "life": 0} != {**line, "life": 0}:
                found.doubled.append(f"{job}: told {before['told']}, then {line['told']}")
            said[job] = line


def _find_strangers(found: Verdict, watched: Watched, rows: list[sqlite3.Row]) -> None:
    known = {asked.job for asked in watched.asked}
    errors = {interaction for asked in watched.asked for interaction in asked.errors}
    for row in rows:
        if row["interaction_id"] in errors:
            found.lies.append(f"job {row['id']}: its user was told of an error, and it is in the table")
        elif row["id"] not in known and all(asked.job is not None for asked in watched.asked):
            found.doubled.append(f"job {row['id']}: nobody knows of it")


def _count_drawn(found: Verdict, plan: Plan, folder: Path) -> None:
    path = folder / "journal"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    poisons = {order.label for order in plan.orders if order.poison}
    ended: set[str] = set()
    starts: collections.Counter[str] = collections.Counter()
    for line in lines:
        event, _, label = line.partition(" ")
        if event == "start":
            starts[label] += 1
            found.again += label in ended and label not in poisons
        elif event == "end":
            ended.add(label)
    found.starts = starts.total()
    # What was fetched for it found no room: a start that its engine never saw.
    full = sum(fault.kind is Kind.MACHINE_FULL for fault in plan.faults)
    hidden = sum(fault.kind in TAKES_STARTS for fault in plan.faults)
    for order in plan.orders:
        if order.poison and order.cancel_after_s is None:
            found.poison_starts.append(starts[order.label])
            if not STARTS - full <= starts[order.label] <= STARTS + hidden:
                found.lies.append(f"{order.label}: a poison that was started {starts[order.label]} times")


def _rows(database: Path, sql: str) -> list[sqlite3.Row]:
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(sql).fetchall()
