"""The process of one card: the real server and the real outbox, around an engine that draws nothing."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    frames = os.dup(1)
    os.dup2(2, 1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--outbox", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--skew", type=int, default=0)
    options = parser.parse_args()

    from gpu_worker.embedded import Served, serve
    from gpu_worker.protocol.specs import DRAW_TASKS, TRAIN_TASKS
    from tests.chaos.clocks import skew_clock
    from tests.chaos.engine import ChaosEngine
    from tests.contract.stub_engine import StubCancelled, StubError

    skew_clock(options.skew)
    return serve(
        options.name,
        options.outbox,
        lambda: Served(ChaosEngine(options.journal), StubCancelled, StubError, (*DRAW_TASKS, *TRAIN_TASKS)),
        frames,
        orphan_grace_s=5.0,
        hang_grace_s=600.0,
        retry_s=0.2,
    )


if __name__ == "__main__":
    sys.exit(main())
