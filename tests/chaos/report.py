"""What many runs found, for people and for programs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.chaos.plan import Clocks, Kind
from tests.chaos.runs import Run

__all__ = ["as_json", "as_text"]


def as_json(runs: Sequence[Run], clocks: Clocks) -> dict[str, Any]:
    return {"lease_s": clocks.lease_s, "clean": all(run.clean for run in runs), "runs": [asdict(run) for run in runs]}


def as_text(runs: Sequence[Run], clocks: Clocks, left_out: Sequence[Kind]) -> str:
    ends: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for run in runs:
        ends.update(run.verdict.ends)
        faults.update(fault.split(" ", 1)[1].split(" (")[0] for fault in run.faults)
    settled = [run.settled_s for run in runs if not run.error]
    unasked = Counter(end.split(" ", 1)[1] for run in runs for end in run.ends)
    poison = Counter(n for run in runs for n in run.verdict.poison_starts)
    lines = [
        f"runs          {len(runs)}, of which clean {sum(run.clean for run in runs)}; leases of {clocks.lease_s:g} s",
        f"jobs          {sum(run.orders for run in runs)}: {_counted(ends)}",
        f"lost          {_sum(runs, 'lost')}",
        f"doubled       {_sum(runs, 'doubled')}",
        f"told wrongly  {_sum(runs, 'lies')}",
        f"left lying    {_sum(runs, 'litter')}",
        f"starts        {_of(runs, 'starts')}, of which after an end of the same job {_of(runs, 'again')}",
        f"poison jobs   {', '.join(f'{count} started {n} times' for n, count in sorted(poison.items())) or '-'}",
        f"faults        {faults.total()}: {_counted(faults)}",
    ]
    if unasked:
        lines.append(f"ended         {_counted(unasked)}")
    if left_out:
        lines.append(f"not tried     {', '.join(left_out)} (not possible here)")
    if settled:
        worst = max(settled)
        lines.append(
            f"all settled   {statistics.median(settled):.1f} s after the last repair (median), {worst:.1f} s at most"
        )
        lines.append(
            f"time of runs  {sum(run.wall_s for run in runs):.0f} s; CPU {sum(run.cpu_s for run in runs):.0f} s"
        )
    for run in runs:
        if run.clean:
            continue
        lines.append(f"seed {run.seed}:")
        verdict = run.verdict
        for title, found in (
            ("lost", verdict.lost),
            ("doubled", verdict.doubled),
            ("wrong", verdict.lies),
            ("left", verdict.litter),
        ):
            lines += [f"  {title}: {entry}" for entry in found[:8]]
        if run.error:
            lines.append(f"  the run itself: {run.error.strip().splitlines()[-1]}")
        lines += [f"  at {fault}" for fault in run.faults]
    lines.append("clean" if all(run.clean for run in runs) else "NOT CLEAN")
    return "\n".join(lines)


def _sum(runs: Sequence[Run], name: str) -> int:
    return sum(len(getattr(run.verdict, name)) for run in runs)


def _of(runs: Sequence[Run], name: str) -> int:
    return sum(getattr(run.verdict, name) for run in runs)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "-"
