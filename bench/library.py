"""How long the library takes over thousands of files: read for the first time, looked at again, after a restart.

The files are holes but for their headers, which are as large as real ones: a LoRA has 264 modules and a table of tags,
a checkpoint the 1,100 tensors of SD 1.5. Hashing is not measured: it reads every byte, at the speed of the disk.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.report import Figure
from bot.library import Library
from bot.storage.database import open_database
from gpu_worker.language.model_book import ModelBook

__all__ = ["measure"]

LORAS_OF_TEN, CHECKPOINTS_OF_TEN = 8, 1
TICK_S = 0.01


async def measure(count: int) -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="pincel-bench-"))
    try:
        await asyncio.to_thread(_make_files, folder / "models", count)
        return await _measure(folder, count)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _measure(folder: Path, count: int) -> list[Figure]:
    topic = f"Model library, {count} files"
    database = await open_database(folder / "pincel.sqlite")
    figures: list[Figure] = []

    def note(name: str, seconds: float, lag_s: float | None = None) -> None:
        figures.append(Figure(topic, name, seconds, "s"))
        if lag_s is not None:
            figures.append(Figure(topic, "  meanwhile the loop was late by at most", lag_s * 1000, "ms"))

    try:
        library = _library(folder, database)
        note("bot, cold: every header read and remembered", *await _timed(library.refresh))
        note("bot, warm: nothing has changed", *await _timed(library.refresh))
        (folder / "models" / "loras" / "0.safetensors").touch()
        note("bot, warm: one file has changed", *await _timed(library.refresh))
        note("bot, start: from the database", *await _timed(_library(folder, database).load))
        names = [file.name for file in library.files()]
    finally:
        await database.close()
    for name in ("worker, cold", "worker, after a restart"):
        book = ModelBook(folder / "models", folder, notes=folder / "readings.json")
        started = time.perf_counter()
        models = await asyncio.to_thread(book.models)
        note(name, time.perf_counter() - started)
        started = time.perf_counter()
        await asyncio.to_thread(book.models)
    note("worker, warm: a look every two seconds", time.perf_counter() - started)
    alike = sum(name == model.fact.name for name, model in zip(names, models, strict=False))
    figures.append(Figure(topic, "files that bot and worker name alike", alike, goal=count, sense="="))
    return figures


def _library(folder: Path, database: Any) -> Library:
    return Library(database, models_dir=folder / "models", demo_dir=folder / "no-demo")


async def _timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Seconds, and by how many the event loop was late at worst."""
    late_s = 0.0

    async def tick() -> None:
        nonlocal late_s
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            late_s = max(late_s, time.perf_counter() - before - TICK_S)

    ticking = asyncio.create_task(tick(), name="ticks")
    started = time.perf_counter()
    try:
        await work()
    finally:
        ticking.cancel()
    return time.perf_counter() - started, late_s


def _make_files(models: Path, count: int) -> None:
    lora, checkpoint = _lora(), _checkpoint()
    for number in range(count):
        turn = number % 10
        if turn < LORAS_OF_TEN:
            place, raw = models / "loras" / str(number // 500) / f"{number}.safetensors", lora
            if number == 0:
                place = models / "loras" / "0.safetensors"
        elif turn < LORAS_OF_TEN + CHECKPOINTS_OF_TEN:
            place, raw = models / "checkpoints" / f"{number}.safetensors", checkpoint
        else:
            place, raw = models / "embeddings" / f"{number}.safetensors", _packed({"emb_params": [8, 768]})
        place.parent.mkdir(parents=True, exist_ok=True)
        header, data_bytes = raw
        with place.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + data_bytes)


def _lora() -> tuple[bytes, int]:
    shapes: dict[str, list[int]] = {}
    for module in range(264):
        name = f"lora_unet_down_blocks_{module % 4}_attentions_{module}_transformer_blocks_0_attn2_to_k"
        shapes |= {f"{name}.alpha": [], f"{name}.lora_down.weight": [8, 768], f"{name}.lora_up.weight": [320, 8]}
    tags = {"10_subject": {f"tag {tag}": tag for tag in range(800)}}
    return _packed(
        shapes, {"ss_tag_frequency": json.dumps(tags), "ss_base_model_version": "sd_v1", "ss_network_dim": "8"}
    )


def _checkpoint() -> tuple[bytes, int]:
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": [320, 4, 3, 3],
        "first_stage_model.decoder.conv_in.weight": [512, 4, 3, 3],
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": [77, 768],
    }
    shapes |= {
        f"model.diffusion_model.output_blocks.{at}.1.transformer_blocks.0.attn1.to_q.weight": [320, 320]
        for at in range(1100)
    }
    return _packed(shapes)


def _packed(shapes: dict[str, list[int]], metadata: dict[str, str] | None = None) -> tuple[bytes, int]:
    """The header, and how many bytes its data have."""
    header: dict[str, Any] = {"__metadata__": metadata or {}}
    at = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return json.dumps(header).encode(), at
