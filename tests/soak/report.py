"""What a soak found, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.soak.bot_process import LONG_S
from tests.soak.run import Report

__all__ = ["as_text"]

SHOWN = 10


def as_text(report: Report) -> str:
    seen, found, watch = report.seen, report.found, report.watch
    slow = watch.get("slow", [])
    blocked = [each for each in slow if each["cpu_s"] > LONG_S]
    wish = report.wish
    often = f"each every {wish.every_s:g} s"
    lines = [
        f"people              {wish.users}, {wish.minutes:g} minutes, {often}, seed {wish.seed}",
        f"interactions        {seen.asked.total()} ({_counted(seen.asked)})",
        f"answered            {_counted(seen.answered)}",
        f"refused by the page {_counted(seen.refused)}",
        f"jobs                {found.jobs.total()} ({_counted(found.jobs)})",
        f"all done after      {report.settled_s:.0f} s",
        f"callbacks           {watch.get('turns', 0)}, the longest {watch.get('longest_cpu_s', 0):.3f} s of CPU",
        f"over {LONG_S:g} s of CPU   {len(blocked)}; by the clock, which counts the whole machine, {len(slow)}",
    ]
    for title, entries in (
        ("UNANSWERED", seen.unanswered),
        ("LOST", found.lost),
        ("DOUBLED", found.doubled),
        ("FAULTS", report.faults),
        ("BLOCKED", [f"{each['cpu_s']} s {each['what'][:600]}" for each in blocked]),
    ):
        lines += _listed(title, entries)
    lines.append("clean" if report.clean else "NOT CLEAN")
    return "\n".join(lines)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "-"


def _listed(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  … and {len(entries) - SHOWN} more"] if len(entries) > SHOWN else []
    return [f"{title}: {len(entries)}", *(f"  {entry}" for entry in entries[:SHOWN]), *more]
