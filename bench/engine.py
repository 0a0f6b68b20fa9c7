"""The engine beside diffusers' own pipeline: time and memory of the same work, side by side in one run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.product import CHECKOUT, clean_environment
from bench.reference_config import write_config
from bench.report import Figure

__all__ = ["Wish", "measure"]

DEMO = CHECKOUT / "data" / "demo"
TASKS = {"txt2img": "one picture", "batch": "batch of 4", "img2img": "img2img"}


@dataclass(frozen=True)
class Wish:
    rounds: int
    steps: int
    full: bool
    """Also the load of a full-size checkpoint with random weights: several GB of disk and memory."""


@dataclass(frozen=True)
class _Done:
    seconds: float
    peak_mb: float | None


async def measure(wish: Wish) -> tuple[list[Figure], dict[str, object]]:
    """Medians of interleaved rounds. On a machine with a card also full-size SD 1.5 and SDXL in half precision."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="pincel-bench-") as folder:
        data = Path(folder)
        (data / "models" / "checkpoints").mkdir(parents=True)
        async with _sides("demo", data, None, 128, wish.steps) as sides:
            machine: dict[str, object] = dict(sides.machine)
            figures += await _pictures(sides, wish, f"Demo checkpoint, 128 px, {wish.steps} steps")
        if not wish.full:
            return figures, machine
        card = machine["device"] != "cpu"
        for family, size in (("sd15", 512), ("sdxl", 1024)) if card else (("sd15", 64),):
            await _make(family, data)
            config = write_config(family, DEMO / "sd-mini" / "tokenizer", data / f"{family}-config")
            async with _sides(family, data, config, size, wish.steps) as sides:
                if card:
                    topic = f"{family}, random weights, fp16, {size} px, {wish.steps} steps"
                    figures += await _pictures(sides, wish, topic)
                figures += await _loading(sides, wish, f"Full-size {family}, random weights, fp16 on disk")
            (data / "models" / "checkpoints" / f"{family}.safetensors").unlink()
    return figures, machine


async def _pictures(sides: _Sides, wish: Wish, topic: str) -> list[Figure]:
    figures: list[Figure] = []
    for task, label in TASKS.items():
        # Once to warm up: models loaded, kernels chosen, caches filled on both sides.
        await sides.each(task, 0)
        rounds = [await sides.each(task, seed) for seed in range(1, wish.rounds + 1)]
        ours, theirs = ([r[side].seconds for r in rounds] for side in (0, 1))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        figures.append(Figure(topic, f"{label}, engine", statistics.median(ours), "s"))
        figures.append(Figure(topic, f"{label}, pipeline", statistics.median(theirs), "s"))
        figures.append(Figure(topic, f"{label}, time engine ÷ pipeline", ratio, goal=1.03, sense="<="))
        peaks = [r[0].peak_mb / r[1].peak_mb for r in rounds if r[0].peak_mb and r[1].peak_mb]
        if peaks:
            figures.append(Figure(topic, f"{label}, peak memory engine ÷ pipeline", statistics.median(peaks)))
    return figures


async def _loading(sides: _Sides, wish: Wish, topic: str) -> list[Figure]:
    await sides.each("load", 0)
    rounds = [await sides.each("load", 0) for _ in range(wish.rounds)]
    ours, theirs = ([r[side].seconds for r in rounds] for side in (0, 1))
    load = statistics.median(ours)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    again = statistics.median([(await sides.engine.do("again", 0)).seconds for _ in range(wish.rounds)])
    switches: list[float] = []
    await sides.engine.do("lora-a", 0)
    for _ in range(wish.rounds):
        switches += [(await sides.engine.do(name, 0)).seconds for name in ("lora-b", "lora-a")]
    switch = statistics.median(switches)
    return [
        Figure(topic, "load, engine", load, "s"),
        Figure(topic, "load, from_single_file", statistics.median(theirs), "s"),
        Figure(topic, "load, engine ÷ from_single_file", ratio, goal=0.5, sense="<="),
        Figure(topic, "second use, engine", again, "s"),
        Figure(topic, "LoRA switch, engine", switch, "s"),
        Figure(topic, "LoRA switch ÷ load of from_single_file", switch / statistics.median(theirs), goal=0.05),
    ]


async def _make(family: str, data: Path) -> None:
    """A checkpoint of full size and two LoRAs for it, with random weights."""
    _say(f"making a {family} checkpoint of random weights")
    path = data / "models" / "checkpoints" / f"{family}.safetensors"
    script = CHECKOUT / "tests" / "fidelity" / "make_checkpoint.py"
    await _run(sys.executable, str(script), family, "--seed", "0", "--dtype", "fp16", "--out", str(path))
    loras = data / "models" / "loras"
    loras.mkdir(exist_ok=True)
    for seed, name in enumerate(("lora-a", "lora-b")):
        out = str(loras / f"{name}.safetensors")
        await _run(sys.executable, "-m", "bench.make_lora", str(path), "--seed", str(seed), "--out", out)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, env=clean_environment())
    if await process.wait():
        raise RuntimeError(f"{command[1]} failed; its reason stands above")


class _Side:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("one side of the comparison ended; its reason stands above")
        return json.loads(line)

    async def do(self, what: str, seed: int) -> _Done:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, "seed": seed}).encode() + b"\n")
        found = await self.line()
        peak = found["peak_mb"]
        return _Done(float(str(found["s"])), None if peak is None else float(str(peak)))


@dataclass(frozen=True)
class _Sides:
    engine: _Side
    pipeline: _Side
    machine: dict[str, object]

    async def each(self, what: str, seed: int) -> tuple[_Done, _Done]:
        """One after the other, the order changing from seed to seed."""
        _say(f"{what} {seed}")
        if seed % 2:
            first = await self.engine.do(what, seed)
            return first, await self.pipeline.do(what, seed)
        second = await self.pipeline.do(what, seed)
        return await self.engine.do(what, seed), second


@contextlib.asynccontextmanager
async def _sides(family: str, data: Path, config: Path | None, size: int, steps: int) -> AsyncIterator[_Sides]:
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(_side("engine", family, data, config, size, steps))
        machine = await engine.line()
        pipeline = await stack.enter_async_context(_side("pipeline", family, data, config, size, steps))
        await pipeline.line()
        yield _Sides(engine, pipeline, machine)


@contextlib.asynccontextmanager
async def _side(by: str, family: str, data: Path, config: Path | None, size: int, steps: int) -> AsyncIterator[_Side]:
    more = ["--config", str(config)] if config else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.side", "--by", by, "--family", family, "--data", str(data), "--demo", str(DEMO),
        "--size", str(size), "--steps", str(steps), *more,
        # As the worker sets it for itself.
        cwd=CHECKOUT, env=clean_environment(OMP_WAIT_POLICY="PASSIVE"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield _Side(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)
