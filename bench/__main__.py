"""`python -m bench`: measures and prints; exit code 0 whatever the figures are, 1 where one could not be measured."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Sequence

from bench import answers, dispatching, engine, fleet, library, losing, mailbox, pictures, tags, training, weight
from bench.product import Product
from bench.report import Figure, as_json, as_table

__all__ = ["main"]

TOPICS = ("imports", "memory", "answers", "pictures", "library", "tags", "engine", "training", "fleet")
USUAL = ("imports", "memory", "answers", "pictures")
"""Without a topic; the others take minutes, or a full-size checkpoint."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Pincel on this machine; takes a few minutes.")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"{', '.join(TOPICS)}; default: {', '.join(USUAL)}")
    parser.add_argument("--requests", type=int, default=200, help="how many /imagine are sent")
    parser.add_argument("--seconds", type=float, default=10.0, help="over which time")
    parser.add_argument("--pairs", type=int, default=7, help="how often the pictures are compared")
    parser.add_argument("--steps", type=int, default=20, help="denoising steps of each picture")
    parser.add_argument("--imports", type=int, default=7, help="how often the imports are timed")
    parser.add_argument("--files", type=int, default=5000, help="library: how many model files")
    parser.add_argument("--tags", type=int, default=150_000, help="tags: how many")
    parser.add_argument("--epochs", type=int, default=8, help="training: how many")
    parser.add_argument("--large", action="store_true", help="fleet: up to 1,000 workers and 10,000 users, for minutes")
    parser.add_argument("--no-full-size", action="store_true", help="engine: leave out the checkpoints of full size")
    options = parser.parse_args(arguments)
    if unknown := [topic for topic in options.topics if topic not in TOPICS]:
        parser.error(f"no topic {unknown[0]}; there are {', '.join(TOPICS)}")
    options.topics = options.topics or list(USUAL)
    try:
        machine, figures = asyncio.run(_measure(options))
    except (RuntimeError, TimeoutError, OSError) as error:
        print(f"This could not be measured: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(as_json(machine, figures))
    else:
        print(" · ".join(f"{key} {value}" for key, value in machine.items()))
        print(as_table(figures))
    return 0


async def _measure(options: argparse.Namespace) -> tuple[dict[str, object], list[Figure]]:
    machine: dict[str, object] = {
        "system": platform.platform(terse=True), "cores": os.cpu_count(), "python": platform.python_version()
    }  # fmt: skip
    figures: list[Figure] = []
    if "imports" in options.topics:
        _say("imports")
        figures += await asyncio.to_thread(weight.imports, options.imports)
    if "engine" in options.topics:
        _say("the engine beside diffusers' pipeline")
        wish = engine.Wish(options.pairs, options.steps, full=not options.no_full_size)
        found, drawn_with = await engine.measure(wish)
        figures += found
        machine |= drawn_with
    if "library" in options.topics:
        _say(f"a library of {options.files} files")
        figures += await library.measure(options.files)
    if "tags" in options.topics:
        _say("tags")
        figures += await tags.measure(options.tags)
    if "training" in options.topics:
        _say("a LoRA of fifteen pictures")
        figures += await training.measure(options.epochs, 4)
    if "fleet" in options.topics:
        _say("the dispatcher, and a fleet in simulated time")
        figures += await dispatching.measure(large=options.large)
        if mailbox.can_be_measured():
            figures += await mailbox.measure()
            _say("machines that are killed")
            figures += await losing.measure()
        else:
            _say("no nats-server here (extra `broker`, or the system's package): what needs one is left out")
        figures += await asyncio.to_thread(fleet.measure, large=options.large)
    if set(options.topics) & {"memory", "answers", "pictures"}:
        _say("starting the bot, its worker and the playground")
        async with Product() as product:
            later: list[Figure] = []
            if "memory" in options.topics:
                figures += weight.memory(product.bot, "after the start and one picture")
            if {"answers", "memory"} & set(options.topics):
                _say(f"{options.requests} requests in {options.seconds:g} s")
                later = await answers.measure(product, answers.Load(options.requests, options.seconds))
            if "memory" in options.topics:
                figures += weight.memory(product.bot, f"after {options.requests} requests")
            if "answers" in options.topics:
                figures += later
            if "pictures" in options.topics:
                _say(f"pictures, {options.pairs} rounds")
                found, drawn_with = await pictures.measure(product, options.pairs, options.steps)
                figures += found
                machine |= drawn_with
    return machine, figures


def _say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
