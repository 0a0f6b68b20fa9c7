"""One of two sides that draw the same: our engine, or diffusers' pipeline; each in a process of its own.

`python -m bench.side`: each line of standard input is JSON, {"do": what, "seed": n}. The answer is one line of JSON,
{"s": seconds, "peak_mb": memory at its highest while doing it}. The first line, unasked, says what draws.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import torch

__all__ = ["main"]


class Side(Protocol):
    def do(self, what: str, seed: int) -> None: ...


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.side")
    add = parser.add_argument
    add("--by", choices=("engine", "pipeline"), required=True)
    add("--family", choices=("demo", "sd15", "sdxl"), required=True)
    add("--data", type=Path, required=True, help="data folder; its models hold the checkpoint and the LoRAs")
    add("--demo", type=Path, required=True)
    add("--config", type=Path, help="diffusers' config files for the checkpoint")
    add("--size", type=int, required=True)
    add("--steps", type=int, required=True)
    options = parser.parse_args()
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    side = _side(options)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "device": device}), file=answers)
    for line in sys.stdin:
        wish = json.loads(line)
        _forget_peak()
        started = time.perf_counter()
        side.do(wish["do"], wish["seed"])
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        print(json.dumps({"s": seconds, "peak_mb": _peak_mb()}), file=answers)
    return 0


def _side(options: argparse.Namespace) -> Side:
    if options.by == "engine":
        from bench.side_engine import EngineSide

        return EngineSide(options)
    from bench.side_pipeline import PipelineSide

    return PipelineSide(options)


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float | None:
    """Of the card where there is one, else of the process; None where the system does not tell."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    if sys.platform != "linux":
        return None
    facts: dict[str, Any] = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    return int(facts["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
