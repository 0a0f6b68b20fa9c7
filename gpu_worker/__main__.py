"""`python -m gpu_worker`: joins the embedded bot over stdin and stdout, or with `--nats` a bot on another machine.

Exit codes: 0 the bot closed the pipe, or it was told to end, 1 a bug, 2 bad usage, 75 the engine cannot start.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gpu_worker.engine_arguments import add_engine_arguments, engine_options
from gpu_worker.protocol.nats.subjects import is_embedded_name, is_worker_name

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
    parser = argparse.ArgumentParser(prog="python -m gpu_worker", description="Draws pictures for a Pincel bot.")
    parser.add_argument("--name", default="w1", help="this worker's name in the bot's list")
    parser.add_argument("--data", type=Path, required=True, help="the operator's data folder")
    parser.add_argument("--models", type=Path, action="append", default=[], help="a further folder, only read")
    parser.add_argument("--fetched", type=Path, help="models are these, in place of those in the data folder")
    parser.add_argument("--demo", type=Path, required=True, help="the shipped demo model's folder")
    parser.add_argument("--lanes", action="append", choices=LANES, default=[],
                        help="set aside for jobs of this kind alone (may be repeated)")  # fmt: skip
    parser.add_argument("--check", action="store_true", help="load the default model, say what was found, and end")
    parser.add_argument(
        "--nats", metavar="URL", help="the broker of a bot on another machine, such as nats://host:4222"
    )
    add_engine_arguments(parser, os.environ)
    arguments = parser.parse_args()
    if arguments.nats and (not is_worker_name(arguments.name) or is_embedded_name(arguments.name)):
        parser.error("a remote worker needs a --name of its own: letters, digits, - and _, and not like w1 or t1")
    frames = _claim_stdout()

    from gpu_worker.embedded import run_check, run_embedded

    options = engine_options(arguments)
    if arguments.check:
        return run_check(arguments.data, arguments.demo, options, arguments.models)
    lanes = tuple(dict.fromkeys(arguments.lanes))
    if arguments.nats:
        from gpu_worker.nats.remote import run_remote

        return run_remote(
            arguments.name, arguments.data, arguments.demo, options, arguments.nats, arguments.models, lanes
        )
    return run_embedded(
        arguments.name, arguments.data, arguments.demo, options, frames, arguments.models, lanes, arguments.fetched
    )


if __name__ == "__main__":
    sys.exit(main())
