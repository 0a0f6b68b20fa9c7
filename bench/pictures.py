"""What the product adds to a picture: its whole way from the command to the card, over the same picture straight."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from yarl import URL

from bench.product import CHECKOUT, Product, clean_environment
from bench.report import Figure
from bot.playground.person import Person, SeenMessage
from gpu_worker.language.models import DEMO_NAME
from gpu_worker.protocol.specs import Txt2Img

__all__ = ["measure"]

CHANNEL = "general"
SPEC = Txt2Img(
    prompt="a red apple on a blue background", negative_prompt="blurry, low quality", checkpoint=DEMO_NAME,
    width=128, height=128, steps=20, cfg_scale=5, sampler="DPM++ 2M", schedule="Karras", seed=0, count=4,
)  # fmt: skip
CARD_WITHIN_S = 120.0


async def measure(product: Product, pairs: int, steps: int) -> tuple[list[Figure], dict[str, object]]:
    """`pairs` rounds of product, pipeline, engine, pipeline, so that a slow second of the machine hits all alike.

    Each round's product and engine are divided by the mean of its two pipelines. Also returned: what draws.
    """
    spec = SPEC.model_copy(update={"steps": steps})
    async with _straight(spec) as straight, _onlooker(product, spec) as onlooker:
        drawn_with = json.loads(await straight.line())
        # Models loaded, caches filled, on every side.
        await onlooker.picture_s(1)
        await straight.draw_s("pipeline", 1)
        await straight.draw_s("engine", 1)
        rounds: list[tuple[float, float, float]] = []
        for seed in range(10, 10 + 8 * pairs, 8):
            whole_s = await onlooker.picture_s(seed)
            first_s = await straight.draw_s("pipeline", seed)
            engine_s = await straight.draw_s("engine", seed)
            second_s = await straight.draw_s("pipeline", seed)
            rounds.append((whole_s, engine_s, (first_s + second_s) / 2))
    topic = f"Four demo pictures, {steps} steps, medians of {pairs}"
    whole, engine, pipeline = ([r[i] for r in rounds] for i in range(3))
    ratios = [w / p for w, p in zip(whole, pipeline, strict=True)]
    figures = [
        Figure(topic, "whole product", statistics.median(whole), "s"),
        Figure(topic, "engine alone", statistics.median(engine), "s"),
        Figure(topic, "diffusers pipeline", statistics.median(pipeline), "s"),
        Figure(topic, "whole product ÷ pipeline", statistics.median(ratios), goal=1.15, sense="<="),
        Figure(topic, "engine ÷ pipeline", statistics.median(e / p for e, p in zip(engine, pipeline, strict=True))),
        Figure(topic, "whole product − engine", statistics.median(w - e for w, e, _ in rounds), "s"),
        Figure(topic, "spread of whole ÷ pipeline", max(ratios) - min(ratios)),
    ]
    return figures, drawn_with


class _Straight:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the straight pipeline ended; its reason stands above")
        return line.decode()

    async def draw_s(self, by: str, seed: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"by": by, "seed": seed}).encode() + b"\n")
        return float(await self.line())


@contextlib.asynccontextmanager
async def _straight(spec: Txt2Img) -> AsyncIterator[_Straight]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.straight",
        "--spec", spec.model_dump_json(), "--demo", str(CHECKOUT / "data" / "demo" / "sd-mini"),
        # As the worker sets it for itself.
        cwd=CHECKOUT, env=clean_environment(OMP_WAIT_POLICY="PASSIVE"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield _Straight(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class _Onlooker:
    """Somebody at the page who types the command and looks until the pictures are there."""

    def __init__(self, person: Person, spec: Txt2Img) -> None:
        self._person = person
        self._spec = spec
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def follow(self, live: aiohttp.ClientWebSocketResponse) -> None:
        """Reads all the time: an unread connection answers no ping and would be closed."""
        async for message in live:
            self._events.put_nowait(json.loads(message.data))
        self._events.put_nowait(None)

    async def picture_s(self, seed: int) -> float:
        """From sending the command until the card shows its pictures and their files have arrived."""
        spec = self._spec
        options: dict[str, object] = {
            "prompt": spec.prompt, "negative": spec.negative_prompt, "checkpoint": spec.checkpoint,
            "width": spec.width, "height": spec.height, "steps": spec.steps, "cfg": spec.cfg_scale,
            "sampler": f"{spec.sampler} {spec.schedule}", "seed": seed, "count": spec.count,
        }  # fmt: skip
        started = time.perf_counter()
        answer = await self._person.slash(CHANNEL, "imagine", options)
        try:
            async with asyncio.timeout(CARD_WITHIN_S):
                card = await self._finished(answer.message_id)
                await asyncio.gather(*(self._person.download(url) for url in card.media))
        except TimeoutError as error:
            said = (
                f"no card with {spec.count} pictures came within {CARD_WITHIN_S:.0f} s (a classifier may withhold some)"
            )
            raise RuntimeError(said) from error
        return time.perf_counter() - started

    async def _finished(self, message_id: str | None) -> SeenMessage:
        while True:
            event = await self._events.get()
            if event is None:
                raise RuntimeError("the page's connection ended")
            if event.get("id") == message_id and event["t"] == "message":
                seen = SeenMessage(event["message"])
                if "U1" in seen.labels and len(seen.media) == self._spec.count:
                    return seen


@contextlib.asynccontextmanager
async def _onlooker(product: Product, spec: Txt2Img) -> AsyncIterator[_Onlooker]:
    page = URL(product.page)
    async with contextlib.AsyncExitStack() as stack:
        person = await stack.enter_async_context(await Person.enter(product.page, "Member"))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))  # unsafe: cookies of bare addresses
        )
        async with session.get(page) as response:
            response.raise_for_status()
        address = page.with_path("/page/live").with_query(user=person.user_id)
        live = await stack.enter_async_context(session.ws_connect(address))
        onlooker = _Onlooker(person, spec)
        following = asyncio.create_task(onlooker.follow(live), name="bench-onlooker")
        try:
            yield onlooker
        finally:
            await live.close()
            await following
