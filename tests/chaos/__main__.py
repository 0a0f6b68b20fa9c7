"""`python -m tests.chaos [--runs 200] [--seed 1] [--jobs 4] [--full]`: breaks, counts, reports; 1 where not clean."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.chaos import rooms


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Random faults, and what they cost.")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each next one has the next")
    parser.add_argument("--jobs", type=int, default=2, help="runs at one time, mostly waiting")
    parser.add_argument("--full", action="store_true", help="leases and silences at their full length: 15 s and 60 s")
    parser.add_argument("--json", type=Path, help="where the whole report goes as JSON")
    parser.add_argument("--keep", type=Path, help="a folder for logs and databases; else only those of bad runs stay")
    parser.add_argument("--plain", action="store_true", help="without namespaces: no full disks, no pulled cables")
    options = parser.parse_args()
    if not options.plain and not rooms.inside():
        wrapped = rooms.wrapped([sys.executable, "-m", "tests.chaos", *sys.argv[1:]])
        if wrapped is not None:
            os.execvpe(wrapped[0], wrapped, {**os.environ, rooms.INSIDE: "1"})  # who kills us ends all of it
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    from tests.chaos.plan import FULL, SHORT
    from tests.chaos.report import as_json, as_text
    from tests.chaos.runs import run_all, without

    clocks = FULL if options.full else SHORT
    folder = options.keep.resolve() if options.keep else Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for run in run_all(
        range(options.seed, options.seed + options.runs), clocks, folder, options.jobs, keep=options.keep is not None
    ):
        runs.append(run)
        state = "clean" if run.clean else "NOT CLEAN"
        print(
            f"… seed {run.seed} {state}, {run.wall_s:.0f} s ({len(runs)} of {options.runs})",
            file=sys.stderr,
            flush=True,
        )
        if options.json is not None:
            options.json.write_text(json.dumps(as_json(runs, clocks), indent=1), encoding="utf-8")
    print(as_text(runs, clocks, sorted(without())))
    if not all(run.clean for run in runs):
        print(f"logs and databases: {folder}")
    return 0 if all(run.clean for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
