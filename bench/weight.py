"""How heavy the bot is: the memory of its process, and the time that its imports take."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections import Counter

import psutil

from bench.product import CHECKOUT, clean_environment
from bench.report import Figure

__all__ = ["imports", "memory"]

MIB = 1024 * 1024
MEMORY_GOAL_MIB = 120
EVERYTHING = "import importlib, bot.__main__, bot.app\nfor name in bot.app.EXTENSIONS: importlib.import_module(name)\n"
"""What the bot has loaded once it is up."""
_SAY_CPU = "\nimport time; print(time.process_time())"
_LINE = re.compile(r"import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)")


def memory(process: psutil.Process, when: str) -> list[Figure]:
    """RSS counts pages that other processes share as well, PSS (Linux) only this process's part of them."""
    topic = "Memory of the bot process"
    figures = [Figure(topic, f"{when}, RSS", process.memory_info().rss / MIB, "MiB", goal=MEMORY_GOAL_MIB)]
    pss = getattr(process.memory_full_info(), "pss", None) if sys.platform == "linux" else None
    return figures if pss is None else [*figures, Figure(topic, f"{when}, PSS", pss / MIB, "MiB")]


def imports(times: int) -> list[Figure]:
    """Whole interpreters, so that nothing is loaded already; the bare one is taken off. Medians, interleaved."""
    bare: list[_Run] = []
    full: list[_Run] = []
    for _ in range(times):
        bare.append(_run("pass"))
        full.append(_run(EVERYTHING))
    topic = f"Import of everything the bot loads, medians of {times}"
    wall_s, cpu_s = (
        statistics.median(run[i] for run in full) - statistics.median(run[i] for run in bare) for i in range(2)
    )
    figures = [
        Figure(topic, "whole process minus bare interpreter", wall_s, "s", goal=1.5),
        Figure(topic, "the same in processor time", cpu_s, "s"),
    ]
    return [*figures, *(Figure(topic, f"of it {name}", s, "s") for name, s in heaviest(_importtime(), 10))]


def heaviest(report: str, count: int) -> list[tuple[str, float]]:
    """Seconds by package, from the output of `-X importtime`: each module's own time, summed, the largest first."""
    own: Counter[str] = Counter()
    for microseconds, module in _LINE.findall(report):
        own[module.split(".")[0]] += int(microseconds)
    return [(name, microseconds / 1e6) for name, microseconds in own.most_common(count)]


_Run = tuple[float, float]
"""Seconds by the clock, and seconds of the processor, which other programs do not lengthen."""


def _run(code: str) -> _Run:
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code + _SAY_CPU], cwd=CHECKOUT, env=clean_environment(), stdout=subprocess.PIPE
    )
    said, _ = process.communicate()
    took = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError("the imports failed; the reason stands above")
    return took, float(said)


def _importtime() -> str:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", EVERYTHING],
        cwd=CHECKOUT, env=clean_environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stderr
