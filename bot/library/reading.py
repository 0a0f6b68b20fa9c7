"""Reads headers and sidecars in a process of its own, so that no file can hold up, fill or end the bot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.settings import CHECKOUT
from gpu_worker.language.layouts import Reading
from gpu_worker.language.listing import Listed
from gpu_worker.language.models import folder_kind
from gpu_worker.language.reader import unpack_reading, unpack_sidecars
from gpu_worker.language.sidecars import Sidecars

__all__ = ["FileReader", "Wanted"]

log = logging.getLogger(__name__)

FILE_TIMEOUT_S = 60.0
AHEAD = 16
"""Requests that the reader holds, so that it never waits for us; few, for they are asked again when it dies."""
LINE_BYTES = 1 << 20
HURRY_MAX = 20
"""Somebody waits for a few files; many are read at low priority."""


@dataclass(frozen=True, slots=True)
class Wanted:
    listed: Listed
    sidecars: tuple[str, ...]


Answer = tuple[Wanted, Reading | None, Sidecars]
"""The reading is None where the file cannot be opened now."""


class FileReader:
    def __init__(self, *, timeout_s: float = FILE_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    async def read(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Answer]:
        """In this order. A file that its reader dies of, or is lost in, counts as damaged. Raises OSError where no
        process can be started."""
        at = 0
        while at < len(wanted):
            async with contextlib.aclosing(self._read_from(wanted, at)) as answers:
                async for answer in answers:
                    at += 1
                    yield answer
            if at < len(wanted):
                log.warning("reading %s ended the reader; the file counts as damaged", wanted[at].listed.path)
                yield wanted[at], Reading(problem="corrupt"), Sidecars()
                at += 1

    async def _read_from(self, wanted: Sequence[Wanted], start: int) -> AsyncGenerator[Answer]:
        """Until all are read, or the reader gives no answer."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gpu_worker.language.reader", *(["--hurry"] if len(wanted) <= HURRY_MAX else []),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=LINE_BYTES, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip
        assert process.stdin is not None, "a pipe"
        assert process.stdout is not None, "a pipe"
        sent = start
        try:
            for at in range(start, len(wanted)):
                while sent < min(at + AHEAD, len(wanted)):
                    process.stdin.write(_request(sent, wanted[sent]))
                    sent += 1
                try:
                    async with asyncio.timeout(self._timeout_s):
                        await process.stdin.drain()
                        line = await process.stdout.readline()
                    answer = _answer(at, wanted[at], line)
                except (TimeoutError, OSError, ValueError, TypeError, KeyError):
                    return
                yield answer
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.stdin.close()
            # To the end of both, or the pipe's transport would be left open.
            dying = asyncio.gather(process.stdout.read(), process.wait(), return_exceptions=True)
            try:
                await asyncio.shield(dying)
            except asyncio.CancelledError:
                await dying  # nobody waits for it after us, and it takes no time
                raise


def _request(number: int, wanted: Wanted) -> bytes:
    kind = folder_kind(wanted.listed)
    return json.dumps([number, kind, str(wanted.listed.path), wanted.sidecars]).encode() + b"\n"


def _answer(number: int, wanted: Wanted, line: bytes) -> Answer:
    """Raises ValueError and others for anything else than the answer that is due."""
    found: Any = json.loads(line)
    if found[0] != number:
        raise ValueError("an answer to another question")
    reading = unpack_reading(found[1]) if found[1] is not None else None
    return wanted, reading, unpack_sidecars(found[2])
