"""Keeps the processes that look at pictures (`python -m gpu_worker.looker`): started when first needed, and again when
one has died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.settings import CHECKOUT
from gpu_worker.protocol.child import Child, ChildCommand
from gpu_worker.protocol.looking import Answer, Question, Ready, Refused, Trouble, parse_answer

__all__ = ["Looker", "LookerTimes"]

log = logging.getLogger(__name__)

LIVES = 2
"""Processes that a question may cost: another picture may have been the end of the first."""


@dataclass(frozen=True, slots=True)
class LookerTimes:
    """All in seconds."""

    start_s: float = 120.0
    answer_s: float = 120.0
    """The largest picture takes a few; a machine with much else to do some more."""
    stop_s: float = 3.0


@dataclass
class _Process:
    child: Child
    frames: AsyncGenerator[dict[str, Any]]


@dataclass
class _Seat:
    number: int
    process: _Process | None = None
    """None until it is needed, and after it has died."""
    taken: bool = False


@dataclass
class Looker:
    models_dir: Path
    log_file: Path
    times: LookerTimes = field(default_factory=LookerTimes)
    at_once: int = field(default_factory=lambda: max(1, min(4, (os.cpu_count() or 1) // 2)))

    def __post_init__(self) -> None:
        self._seats = [_Seat(number) for number in range(1, self.at_once + 1)]
        self._free = asyncio.Semaphore(self.at_once)
        self._stopping = False

    @property
    def busy(self) -> bool:
        """Whoever asks now has to wait."""
        return self._free.locked()

    async def ask(self, question: Question) -> Answer:
        """A question that its process dies of, twice, or finds no end of, is answered by `Refused`. Raises OSError
        where no process can be started, or the disk is full: to be asked again."""
        async with self._free:
            idle = [seat for seat in self._seats if not seat.taken]
            seat = next((one for one in idle if one.process is not None), idle[0])
            seat.taken = True
            try:
                answer = await self._answered(seat, question)
            finally:
                seat.taken = False
        if isinstance(answer, Trouble):
            raise OSError(f"what was looked at cannot be written: {answer.reason}")
        return answer

    async def stop(self) -> None:
        """Bounded. Questions that are under way end with OSError."""
        self._stopping = True
        processes = [seat.process for seat in self._seats if seat.process is not None]
        await asyncio.gather(*(one.child.close(self.times.stop_s) for one in processes), return_exceptions=True)
        for _ in range(self.at_once):  # whoever asks sees its process end, or that no other is started
            await self._free.acquire()
        for seat in self._seats:
            await self._ended(seat)
            self._free.release()

    def pids(self) -> list[int]:
        """For tests and the operator's view."""
        return [seat.process.child.pid for seat in self._seats if seat.process is not None]

    async def _answered(self, seat: _Seat, question: Question) -> Answer:
        for life in range(1, LIVES + 1):
            process = seat.process or await self._started(seat)
            try:
                process.child.silence_s = self.times.answer_s
                if await process.child.send(question):
                    return parse_answer(await anext(process.frames))
            except (StopAsyncIteration, ValidationError):
                pass
            except BaseException:  # cancelled: its answer would be taken for the next one's
                await self._ended(seat)
                raise
            await self._ended(seat)
            log.warning("looking at a %s ended the looker (%s of %s)", question.t, life, LIVES)
        return Refused(reason="whatever looks at it dies, or finds no end")

    async def _started(self, seat: _Seat) -> _Process:
        if self._stopping:
            raise OSError("the bot stops")
        command = ChildCommand(
            argv=(sys.executable, "-m", "gpu_worker.looker", "--models", str(self.models_dir)),
            log_file=self.log_file,
            # One thread needs one arena: on many cores the others would take the memory that is allowed.
            environment={"PYTHONPATH": str(CHECKOUT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        child = await Child.spawn(command, f"looker{seat.number}")
        if self._stopping:
            child.kill()
        child.silence_s = self.times.start_s
        seat.process = process = _Process(child, child.frames())
        try:
            if isinstance(parse_answer(await anext(process.frames)), Ready):
                return process
        except (StopAsyncIteration, ValidationError):
            pass
        except BaseException:
            await self._ended(seat)
            raise
        words = await child.last_words()
        await self._ended(seat)
        if self._stopping:
            raise OSError("the bot stops")
        log.error(
            "what remote workers send cannot be looked at: %s (%s says more). Run `python3 launch.py doctor`; "
            "pictures wait meanwhile, and it is tried again.", words or "its process ends at once", self.log_file,
        )  # fmt: skip
        raise OSError(f"no looker can be started: {words}")

    async def _ended(self, seat: _Seat) -> None:
        process, seat.process = seat.process, None
        if process is not None:
            process.child.kill()
            await asyncio.shield(self._drained(process))

    async def _drained(self, process: _Process) -> None:
        """To the end of its pipe, or the transport behind it would be left open."""
        process.child.kill()
        with contextlib.suppress(Exception):
            async for _ in process.frames:
                pass
        await process.frames.aclose()
        await process.child.wait()
