"""`python -m gpu_worker`: serves whoever started it over stdin and stdout, a bot or the agent of a machine. With
`--invite` or `--nats` it is that agent: it joins a bot elsewhere, and starts itself once more for each card.

Exit codes: 0 the pipe was closed, or it was told to end, 1 a bug, 2 bad usage, 75 the engine cannot start, or another
agent works in the data folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gpu_worker.agent.run import add_agent_arguments, agent_asked, run_agent
from gpu_worker.engine_arguments import add_engine_arguments, engine_options

__all__ = ["main"]

LANES = ("interactive", "batch", "training")
"""As the bot calls them."""


def _claim_stdout() -> int:
    """Keeps the frame pipe to ourselves: whatever a library prints goes to stderr. Before any heavy import."""
    sys.stdout.flush()
    frames = os.dup(1)
    os.dup2(2, 1)
    return frames


def main() -> int:
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_agent_arguments(own, os.environ)
    parser = argparse.ArgumentParser(
        prog="python -m gpu_worker", description="Draws pictures for a Pincel bot.", parents=[own], allow_abbrev=False
    )
    parser.add_argument("--data", type=Path, required=True, help="the operator's data folder")
    parser.add_argument("--models", type=Path, action="append", default=[], help="a further folder, only read")
    parser.add_argument("--fetched", type=Path, help="models are these, and no others")
    parser.add_argument("--outbox", type=Path, help="where results lie until the bot has them")
    parser.add_argument("--demo", type=Path, required=True, help="the shipped demo model's folder")
    parser.add_argument("--lanes", action="append", choices=LANES, default=[],
                        help="set aside for jobs of this kind alone (may be repeated)")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="load the default model, say what was found, and end")
    add_engine_arguments(parser, os.environ)
    arguments = parser.parse_args()
    if agent_asked(arguments) and not arguments.check:
        return run_agent(arguments, own.parse_known_args()[1])
    frames = _claim_stdout()

    from gpu_worker.embedded import run_check, run_embedded

    options = engine_options(arguments)
    if arguments.check:
        return run_check(arguments.data, arguments.demo, options, arguments.models)
    lanes = tuple(dict.fromkeys(arguments.lanes))
    return run_embedded(
        arguments.name or "w1", arguments.data, arguments.demo, options, frames, arguments.models, lanes,
        arguments.fetched, arguments.outbox,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
