"""How fast `/imagine` is answered while the worker has the processor, and whether any request is lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass

from bench.cpu import CpuWatch, cpu_s
from bench.product import Product
from bench.report import Figure, share_at
from bot.playground.person import Answer, Person, Refused

__all__ = ["Load", "measure"]

PROMPT = "a red apple on a blue background"
CHANNEL = "general"
FILLERS = 3
BEGIN_WITHIN_S = 60.0


@dataclass(frozen=True)
class Load:
    """`requests` spread evenly over `seconds`, whether or not earlier ones were answered."""

    requests: int = 200
    seconds: float = 10.0


@dataclass(frozen=True)
class _Request:
    took_s: float
    answer: Answer | None
    """None where the page refused or lost it."""


async def measure(product: Product, load: Load) -> list[Figure]:
    """The time runs from sending the interaction until its sender has the answer, the playground's share included.

    A request counts as answered where its sender got a message within the three seconds that Discord allows, and as
    kept where its job is in the table.
    """
    async with product.people() as people:
        await _keep_busy(product, people)
        watch = CpuWatch(product)
        requests = await asyncio.gather(
            *(_ask(people[i % len(people)], i * load.seconds / load.requests) for i in range(load.requests))
        )
        cpu = watch.stop()
        answered = [r for r in requests if r.answer is not None and r.answer.kind == "message"]
        known = {str(row[0]) for row in await asyncio.to_thread(product.rows, "SELECT interaction_id FROM jobs")}
        kept = sum(1 for r in answered if r.answer is not None and r.answer.interaction_id in known)
        await _cancel_all(product, people)
    times = [r.took_s for r in answered]
    topic = f"First response to /imagine, {load.requests} requests in {load.seconds:g} s"
    return [
        Figure(topic, "p50", share_at(times, 0.5), "s"),
        Figure(topic, "p99", share_at(times, 0.99), "s", goal=0.5),
        Figure(topic, "slowest", max(times, default=float("nan")), "s"),
        Figure(topic, "answered", len(answered)),
        Figure(topic, "lost", load.requests - kept, goal=0, sense="="),
        *cpu.figures(topic),
    ]


async def _keep_busy(product: Product, people: list[Person]) -> None:
    """Enough drawing to outlast the requests, and the first of it under way."""
    for person in people[:FILLERS]:
        large = {"width": 512, "height": 512, "steps": 150, "count": 1}  # small pictures do not fill two cores
        await person.slash(CHANNEL, "imagine", {"prompt": PROMPT, **large})
    deadline = time.monotonic() + BEGIN_WITHIN_S
    while True:
        before = cpu_s(product.worker)
        await asyncio.sleep(1.0)
        running = product.rows("SELECT count(*) FROM jobs WHERE status = 'assigned'")[0][0]
        if running and cpu_s(product.worker) - before > 0.5:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the worker has not begun to draw")


async def _ask(person: Person, after_s: float) -> _Request:
    await asyncio.sleep(after_s)
    started = time.perf_counter()
    answer = None
    with contextlib.suppress(Refused, OSError, TimeoutError):
        answer = await person.slash(CHANNEL, "imagine", {"prompt": PROMPT, "steps": 30, "count": 4})
    return _Request(time.perf_counter() - started, answer)


async def _cancel_all(product: Product, people: list[Person]) -> None:
    """What is left of the load must not be drawn under the next measurement."""
    by_id = {int(person.user_id): person for person in people}
    sql = "SELECT id, user_id FROM jobs WHERE status IN ('queued', 'assigned') ORDER BY created_at DESC"
    while waiting := await asyncio.to_thread(product.rows, sql):
        for job_id, user_id in waiting:
            await by_id[int(str(user_id))].slash(CHANNEL, "cancel", {"job": job_id})
        await asyncio.sleep(0.5)
