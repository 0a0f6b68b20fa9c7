"""A worker process with a stub engine: the real server, the real transport, the real outbox."""

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
    parser.add_argument("--orphan-grace", type=float, default=5.0)
    parser.add_argument("--hang-grace", type=float, default=600.0)
    parser.add_argument("--pid", type=Path, help="where to write the number of this process")
    arguments = parser.parse_args()
    if arguments.pid is not None:
        arguments.pid.write_text(str(os.getpid()))

    from gpu_worker.embedded import Served, serve
    from gpu_worker.protocol.specs import DRAW_TASKS, TRAIN_TASKS
    from tests.contract.stub_engine import StubCancelled, StubEngine, StubError

    return serve(
        arguments.name,
        arguments.outbox,
        lambda: Served(StubEngine(arguments.journal), StubCancelled, StubError, (*DRAW_TASKS, *TRAIN_TASKS)),
        frames,
        orphan_grace_s=arguments.orphan_grace,
        hang_grace_s=arguments.hang_grace,
        retry_s=0.05,
    )


if __name__ == "__main__":
    sys.exit(main())
