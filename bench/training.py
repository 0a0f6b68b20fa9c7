"""What a LoRA learns on the demo checkpoint from fifteen pictures of a character that it has never seen."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from typing import Any

from bench.product import CHECKOUT, clean_environment
from bench.report import Figure

__all__ = ["measure"]

MINUTES_MAX = 10
"""On two cores."""


async def measure(epochs: int, pictures: int) -> list[Figure]:
    """In a process of its own, so that nothing of it stays in memory."""
    with tempfile.TemporaryDirectory(prefix="pincel-bench-") as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.learning", folder, f"--epochs={epochs}", f"--pictures={pictures}",
            cwd=CHECKOUT, env=clean_environment(), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the training failed; the reason stands above")
    return _figures(json.loads(said))


def _figures(found: dict[str, Any]) -> list[Figure]:
    topic = "A character from 15 pictures, distance in grey levels"
    first, last = found["epochs"][0], found["epochs"][-1]
    return [
        Figure(topic, f"minutes, {found['steps']} steps", found["seconds"] / 60, "min", goal=MINUTES_MAX),
        Figure(topic, "its word, without the LoRA", found["base"]),
        *(Figure(topic, f"its word, epoch {n}", value) for n, value in enumerate(found["epochs"][:-1], 1)),
        Figure(
            topic, f"its word, epoch {len(found['epochs'])}", last, goal=min(first, *found["others"], found["base"])
        ),
        *(Figure(topic, f"other words {n}, with it", value) for n, value in enumerate(found["others"], 1)),
        Figure(topic, "weight 0 beside the base, grey levels", found["zero"], goal=0, sense="="),
        Figure(topic, "as diffusers loads it beside ours, grey levels", found["diffusers"], goal=1, sense="<="),
    ]
