"""`python -m tests.soak [--users 500] [--minutes 10] [--every 20]`: presses, counts, reports; 1 where not clean."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.soak.report import as_text
from tests.soak.run import Wish, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Many people press whatever there is.")
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1, help="of what they do; what comes of it depends on timing, too")
    parser.add_argument("--every", type=float, default=20.0, help="seconds between two doings of one person")
    parser.add_argument("--keep", type=Path, help="a folder for database, logs and pictures; else they are deleted")
    options = parser.parse_args()
    wish = Wish(options.users, options.minutes, options.seed, options.every)
    print(f"… {wish.users} people for {wish.minutes:g} minutes", file=sys.stderr, flush=True)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(soak(wish, options.keep))
    else:
        with tempfile.TemporaryDirectory(prefix="pincel-soak-") as folder:
            report = asyncio.run(soak(wish, Path(folder)))
    print(as_text(report))
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
