"""Many runs, some at a time, each in a process of its own that was forked from one which has imported everything."""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import nursery, rooms
from tests.chaos.bot import BotLife, run_bot
from tests.chaos.conduct import carry_out
from tests.chaos.machine import MachineLife, run_machine
from tests.chaos.plan import FULL_DISKS, Clocks, Kind, plan_of
from tests.chaos.verdict import Verdict, judge

__all__ = ["Run", "run_all", "without"]

nursery.WORK["bot"] = lambda told: run_bot(BotLife(**told))
nursery.WORK["machine"] = lambda told: run_machine(MachineLife(**told))


@dataclass
class Run:
    seed: int
    verdict: Verdict
    faults: list[str] = field(default_factory=list[str])
    ends: list[str] = field(default_factory=list[str])
    orders: int = 0
    settled_s: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """Of everything that the run started and that ended with it."""
    error: str = ""
    """Where the run itself went wrong."""

    @property
    def clean(self) -> bool:
        return not self.error and self.verdict.clean


def without() -> frozenset[Kind]:
    """What cannot be tried on this machine."""
    return frozenset() if rooms.can_mount() else FULL_DISKS


def run_all(seeds: Iterable[int], clocks: Clocks, folder: Path, jobs: int, *, keep: bool = False) -> Iterator[Run]:
    """As they end. `keep`: the folders of clean runs stay, too."""
    waiting, running = iter(seeds), dict[int, tuple[int, int]]()
    free = set(range(jobs))
    while True:
        while free and (seed := next(waiting, None)) is not None:
            slot = free.pop()
            running[_fork(seed, clocks, folder / str(seed), slot, keep=keep)] = seed, slot
        if not running:
            return
        pid, _, used = os.wait4(-1, 0)
        if pid not in running:
            continue
        seed, slot = running.pop(pid)
        free.add(slot)
        run = _read(folder / f"{seed}.json", seed)
        run.cpu_s = used.ru_utime + used.ru_stime
        if run.clean and not keep:
            shutil.rmtree(folder / str(seed), ignore_errors=True)
        yield run


def _fork(seed: int, clocks: Clocks, folder: Path, slot: int, *, keep: bool) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        folder.mkdir(parents=True)
        _one(seed, clocks, folder, slot, keep=keep)
        code = 0
    except BaseException:
        folder.with_suffix(".json").write_text(json.dumps({"error": traceback.format_exc()}), encoding="utf-8")
    finally:
        os._exit(code)


STUCK_S = 300.0
"""A run that takes longer shows where it is, and is over."""


def _one(seed: int, clocks: Clocks, folder: Path, slot: int, *, keep: bool) -> None:
    wishes = nursery.fork_nursery()
    stuck = (folder / "stuck.log").open("w")
    faulthandler.dump_traceback_later(STUCK_S * max(1.0, clocks.scale * 4), exit=True, file=stuck)
    plan = plan_of(seed, clocks, without=without())
    started = time.monotonic()
    watched, disks = asyncio.run(carry_out(plan, folder, wishes, slot))
    os.wait()  # the nursery, with all that it had
    faulthandler.cancel_dump_traceback_later()
    verdict = judge(plan, watched, folder)
    for disk in disks:
        disk.close(keep=keep or not verdict.clean)
    said: dict[str, Any] = {
        "verdict": asdict(verdict), "faults": watched.done, "ends": watched.ends, "orders": len(plan.orders),
        "settled_s": watched.took_s, "wall_s": time.monotonic() - started,
    }  # fmt: skip
    (folder / "plan.txt").write_text("\n".join(map(str, (*plan.orders, *plan.faults, plan.skews))), encoding="utf-8")
    folder.with_suffix(".json").write_text(json.dumps(said), encoding="utf-8")


def _read(path: Path, seed: int) -> Run:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        said = {"error": "the run ended without a word"}
    return Run(seed=seed, verdict=Verdict(**said.pop("verdict", {})), **said)
