"""Search and replace in captions, by a process that is ended when it takes too long: a pattern is anybody's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.domain.text import clean
from bot.domain.training.datasets import CAPTION_CHARS_MAX
from bot.errors import UserFacingError
from bot.settings import CHECKOUT
from gpu_worker.language.training.tag_editor import Tags, read_tags, write_tags

__all__ = ["Replacement", "Replacer"]

log = logging.getLogger(__name__)

REPLACING_S = 6.0
"""An honest pattern takes milliseconds once the process has started."""
WAITING_S = 15.0
AT_ONCE = 2
ANSWER_BYTES_MAX = 32 << 20


@dataclass(frozen=True, slots=True)
class Replacement:
    search: str
    replace: str = ""
    regex: bool = False
    """Python's own patterns."""
    whole: bool = True
    """In the caption as a whole; else within each tag by itself, …"""
    only: tuple[str, ...] | None = None
    """… or within these."""


def _plain(tags: Sequence[str]) -> Tags:
    """In one line, without signs that nobody sees: a pattern's replacement may write both."""
    return read_tags(" ".join(clean(write_tags(tags)).text.split()))


class Replacer:
    def __init__(self, *, replacing_s: float = REPLACING_S) -> None:
        self._replacing_s = replacing_s
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def replaced(self, captions: Sequence[str], wanted: Replacement) -> list[Tags]:
        """The tags of each caption afterwards. Raises UserFacingError: `captions_pattern`, `captions_slow`,
        `captions_long`, `captions_busy`."""
        request = json.dumps(
            {
                "captions": [*captions], "search": wanted.search, "replace": wanted.replace, "regex": wanted.regex,
                "whole": wanted.whole, "only": wanted.only, "longest": CAPTION_CHARS_MAX,
            }
        ).encode()  # fmt: skip
        try:
            async with asyncio.timeout(WAITING_S):
                await self._turns.acquire()
        except TimeoutError:
            raise UserFacingError("captions_busy") from None
        try:
            answer = await self._answered(request)
        finally:
            self._turns.release()
        match answer.get("problem"):
            case None:
                return await asyncio.to_thread(lambda: [_plain(tags) for tags in answer["tags"]])
            case "pattern":
                raise UserFacingError("captions_pattern")
            case "long":
                raise UserFacingError("captions_long", most=CAPTION_CHARS_MAX)
            case _:
                raise UserFacingError("captions_slow")

    async def _answered(self, request: bytes) -> dict[str, Any]:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gpu_worker.language.training.replacing",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )  # fmt: skip
        except OSError as error:
            log.warning("no process for searching captions could be started: %s", error)
            raise UserFacingError("captions_busy") from error
        assert process.stdout is not None, "a pipe"
        try:
            async with asyncio.timeout(self._replacing_s):
                output, _ = await process.communicate(request)
            found: Any = json.loads(output[:ANSWER_BYTES_MAX])
            return dict(found)
        except (TimeoutError, ValueError, TypeError):
            log.info("a search through captions was too much for its process")
            return {"problem": "slow"}
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                # To the end of both, or the pipe's transport would be left open.
                await asyncio.shield(asyncio.gather(process.stdout.read(), process.wait(), return_exceptions=True))
