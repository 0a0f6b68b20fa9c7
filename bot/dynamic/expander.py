"""Texts from templates, drawn by a child process that is ended when it takes too long, so no template can hold up,
fill or end the bot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from bot.domain.mentions import spoken
from bot.dynamic.wildcards import WildcardBook
from bot.errors import UserFacingError
from bot.settings import CHECKOUT
from gpu_worker.protocol.specs import Texts

__all__ = ["Expander"]

log = logging.getLogger(__name__)

DRAWING_S = 6.0
"""A hostile template ends then; an honest one takes a few milliseconds once the process has started, which takes a
fifth of a second, or a few where everything is busy."""
WAITING_S = 15.0
AT_ONCE = 2
ANSWER_BYTES = 16 << 20


class Expander:
    def __init__(self, book: WildcardBook, *, drawing_s: float = DRAWING_S, longest_chars: int = 18_000) -> None:
        self._book = book
        self._drawing_s = drawing_s
        self._longest_chars = longest_chars
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def texts(
        self, prompt: str, negative_prompt: str, seeds: Sequence[int], *, guild_id: int | None = None
    ) -> list[Texts]:
        """One for each seed. Raises UserFacingError: `template_unreadable`, `template_endless`, `template_variable`,
        `template_long`, `template_busy`."""
        return await self._asked({"prompt": prompt, "negative": negative_prompt, "seeds": [*seeds]}, guild_id)

    async def combinations(
        self, prompt: str, negative_prompt: str, *, most: int, guild_id: int | None = None
    ) -> list[Texts]:
        """All there are, each once; one more than `most` says that there are more. Raises as `texts`."""
        return await self._asked({"prompt": prompt, "negative": negative_prompt, "most": most}, guild_id)

    async def _asked(self, question: dict[str, Any], guild_id: int | None) -> list[Texts]:
        request = await asyncio.to_thread(self._request, question, guild_id)
        try:
            async with asyncio.timeout(WAITING_S):
                await self._turns.acquire()
        except TimeoutError:
            raise UserFacingError("template_busy") from None
        try:
            answer = await self._answered(request)
        finally:
            self._turns.release()
        if (problem := answer.get("problem")) is not None:
            raise UserFacingError(f"template_{problem}", name=spoken(str(answer.get("name", ""))))
        return [Texts(prompt=prompt, negative_prompt=negative) for prompt, negative in answer["texts"]]

    def _request(self, question: dict[str, Any], guild_id: int | None) -> bytes:
        """With the wildcards that it may need. Reads files."""
        values = self._book.needed(f"{question['prompt']}\n{question['negative']}", guild_id=guild_id)
        return json.dumps(question | {"values": values, "longest": self._longest_chars}).encode()

    async def _answered(self, request: bytes) -> dict[str, Any]:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot.dynamic.child",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )  # fmt: skip
        except OSError as error:
            log.warning("no process for dynamic prompts could be started: %s", error)
            raise UserFacingError("template_busy") from error
        assert process.stdout is not None, "a pipe"
        try:
            async with asyncio.timeout(self._drawing_s):
                output, _ = await process.communicate(request)
            found: Any = json.loads(output[:ANSWER_BYTES])
            return dict(found)
        except (TimeoutError, ValueError, TypeError):
            log.info("a template was too much for its process")
            return {"problem": "endless"}
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                # To the end of both, or the pipe's transport would be left open.
                await asyncio.shield(asyncio.gather(process.stdout.read(), process.wait(), return_exceptions=True))
