"""Reads out of a picture's bytes how it was made, in a process of its own: the bytes are anybody's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys

from bot.settings import CHECKOUT

__all__ = ["PictureReader"]

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
AT_ONCE = 2
ANSWER_BYTES_MAX = 1 << 20


class PictureReader:
    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def infotext(self, data: bytes) -> str | None:
        """A1111's text, whatever program wrote it; None where the picture says nothing, or ended its reader. Raises
        OSError where no process can be started."""
        async with self._turns:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gpu_worker.read_picture",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                # One thread needs one arena: on many cores the others would take the memory that is allowed.
                env={**os.environ, "PYTHONPATH": str(CHECKOUT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer, _ = await process.communicate(data)
            except TimeoutError:
                log.warning("a picture of %s bytes kept its reader busy for %g s", len(data), self._timeout_s)
                return None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0 or len(answer) > ANSWER_BYTES_MAX:
            log.warning("a picture of %s bytes ended its reader with %s", len(data), process.returncode)
            return None
        try:
            found: object = json.loads(answer)
        except ValueError:
            return None
        return found if isinstance(found, str) and found.strip() else None
