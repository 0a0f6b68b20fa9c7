"""How long 150,000 tags take to be read and to answer, letter by letter as people type, and what that holds up."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

from bench.report import Figure, share_at
from bot.tags.book import TagBook

__all__ = ["measure"]

QUERIES = 4000
GOAL_MS = 20.0
TICK_S = 0.005


async def measure(count: int) -> list[Figure]:
    topic = f"Tag completion, {count} tags"
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="pincel-bench-") as name:
        folder = Path(name)
        words = ["".join(rng.choices("aaeeiioubcdfghklmnprstvy", k=rng.randint(3, 9))) for _ in range(9000)]
        names = list(dict.fromkeys("_".join(rng.choices(words, k=rng.choice((1, 2, 2, 3)))) for _ in range(count * 2)))
        names = names[:count]
        rows = (
            f'{tag},{rng.choice((0, 0, 0, 1, 3, 4))},{(count - rank) * 9},"{rng.choice(words)}_{rng.choice(words)}"\n'
            for rank, tag in enumerate(names)
        )
        (folder / "made-up.csv").write_text("".join(rows), encoding="utf-8")
        book = TagBook(folder)
        longest_ms = 0.0

        async def ticking() -> None:
            nonlocal longest_ms
            while True:
                before = time.perf_counter()
                await asyncio.sleep(TICK_S)
                longest_ms = max(longest_ms, (time.perf_counter() - before - TICK_S) * 1000)

        ticks = asyncio.create_task(ticking())
        before = time.perf_counter()
        await book.refresh()
        read_s = time.perf_counter() - before
        ticks.cancel()
        times, work = await asyncio.to_thread(_times_ms, book, rng, names)
        tracemalloc.start()
        book = TagBook(folder)
        await book.refresh()
        memory_mb = tracemalloc.get_traced_memory()[0] / 2**20
        tracemalloc.stop()
    return [
        Figure(topic, "read and sorted", read_s, "s"),
        Figure(topic, "longest pause of the event loop meanwhile", longest_ms, "ms", 100.0),
        Figure(topic, "an answer, half", share_at(times, 0.5), "ms"),
        Figure(topic, "an answer, 99 of 100", share_at(times, 0.99), "ms", GOAL_MS),
        Figure(topic, "the slowest answer, work of the processor", max(work), "ms", GOAL_MS),
        Figure(topic, "the slowest answer, on this machine now", max(times), "ms"),
        Figure(topic, "memory", memory_mb, "MiB"),
    ]


def _times_ms(book: TagBook, rng: random.Random, names: list[str]) -> tuple[list[float], list[float]]:
    """By the clock, and of the processor alone."""
    times: list[float] = []
    work: list[float] = []
    for typed in _typed(rng, names):
        before, began = time.perf_counter(), time.thread_time()
        book.index.search(typed)
        work.append((time.thread_time() - began) * 1000)
        times.append((time.perf_counter() - before) * 1000)
    return times, work


def _typed(rng: random.Random, names: list[str]) -> Iterator[str]:
    """Beginnings of tags and of their words, and a fifth that nothing is called."""
    for number in range(QUERIES):
        tag = rng.choice(names)
        text = tag if number % 2 else tag.split("_")[-1]
        yield "qx" + text[:6] if number % 5 == 0 else text[: rng.randint(1, len(text))]
