"""Looks into fetched files in processes of their own, so that no file can hold up, fill or end the bot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from bot.downloads.check import Checked, container_of, judge
from bot.errors import UserFacingError
from bot.library.reading import FileReader, Wanted
from bot.settings import CHECKOUT
from gpu_worker.language.layouts import Reading
from gpu_worker.language.listing import Listed
from gpu_worker.language.trees import Root
from gpu_worker.protocol.messages import ModelKind

__all__ = ["inspect", "to_safetensors"]

REWRITE_LIMIT_S = 3600.0
_PROBLEMS = {"unsafe": "download_unsafe", "unknown_layout": "download_not_a_model", "disk": "download_disk"}


async def inspect(path: Path, kind: ModelKind | None) -> Checked:
    """`kind` is what it is wished to be. A pickle is refused, and an archive, which is to be unpacked before. Raises
    nothing but OSError."""
    container = await asyncio.to_thread(container_of, path)
    free = wished = Reading()
    if container in ("safetensors", "onnx"):
        free, wished = await _readings(path, kind)
    return judge(kind, container, free, wished)


async def to_safetensors(source: Path, target: Path) -> None:
    """Of a pickle; nothing in it is executed. Raises UserFacingError, OSError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gpu_worker.language.rewrite", str(source), str(target),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(REWRITE_LIMIT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        raise UserFacingError("download_damaged") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.communicate())
    if process.returncode != 0:
        raise UserFacingError(_PROBLEMS.get(said.decode(errors="replace").strip(), "download_damaged"))


async def _readings(path: Path, kind: ModelKind | None) -> tuple[Reading, Reading]:
    kinds: list[ModelKind | None] = [None] if kind is None else [None, kind]
    wanted = [Wanted(Listed(path, path, Root(path.parent, one), None), ()) for one in kinds]
    found: list[Reading] = []
    async with contextlib.aclosing(FileReader().read(wanted)) as answers:
        async for _, reading, _ in answers:
            if reading is None:
                raise OSError("the file cannot be opened")
            found.append(reading)
    return found[0], found[-1]
