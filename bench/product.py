"""The whole product as an operator starts it, in a data folder of its own: bot, playground, worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bot.playground.person import Person

__all__ = ["CHECKOUT", "PEOPLE", "Product", "clean_environment"]

CHECKOUT = Path(__file__).resolve().parents[1]
PEOPLE = ("Admin", "Member", "Moderator")
START_S = 60.0
STOP_S = 20.0
_PAGE = re.compile(r"http://\S+\?key=\S+")


def clean_environment(**settings: str) -> dict[str, str]:
    """This environment without a token or any setting of the operator's: a figure must not depend on them."""
    own = {key: value for key, value in os.environ.items() if not key.upper().startswith(("PINCEL_", "DISCORD_"))}
    return {**own, "PYTHONPATH": str(CHECKOUT), **settings}


class Product:
    """`async with Product() as product`. Raises RuntimeError, with the bot's last lines, where it does not start."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pincel-bench-", ignore_cleanup_errors=True)
        self.data = Path(self._folder.name)
        self.page = ""

    async def __aenter__(self) -> Self:
        environment = clean_environment(
            PINCEL_DATA=str(self.data),
            PINCEL_PLAYGROUND_PORT="0",
            PINCEL_MAX_QUEUED_PER_USER="1000",
            PINCEL_LOG_LEVEL="warning",
        )
        log = (self.data / "bench.log").open("wb")
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bot", "--env-file", str(self.data / "no.env"),
                cwd=CHECKOUT, env=environment,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        finally:
            log.close()
        try:
            self.page = await asyncio.wait_for(self._find_page(), START_S)
            async with await Person.enter(self.page, "Member") as person:
                await person.wait_for_bot(START_S, "imagine")
            await asyncio.wait_for(self._worker_there(), START_S)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def bot(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    @property
    def worker(self) -> psutil.Process:
        return self._child("gpu_worker")

    @property
    def playground(self) -> psutil.Process:
        return self._child("bot.playground")

    def _child(self, module: str) -> psutil.Process:
        return next(child for child in self.bot.children() if module in child.cmdline())

    @contextlib.asynccontextmanager
    async def people(self) -> AsyncIterator[list[Person]]:
        async with contextlib.AsyncExitStack() as stack:
            yield [await stack.enter_async_context(await Person.enter(self.page, name)) for name in PEOPLE]

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What the bot's database holds now, read beside the running bot."""
        uri = f"{(self.data / 'pincel.sqlite').as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            return database.execute(sql).fetchall()

    async def _find_page(self) -> str:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            found = _PAGE.search(line.decode(errors="replace"))
            if found:
                return found[0]
        raise RuntimeError(f"the bot did not start:\n{(self.data / 'bench.log').read_text(errors='replace')[-2000:]}")

    async def _worker_there(self) -> None:
        """Until the worker has said hello; its models are the first thing that it tells."""
        async with await Person.enter(self.page, "Member") as person:
            while True:
                # The line about a worker that is not there yet is the only text beside title and totals.
                answer = await person.slash("general", "queue")
                if answer.message_id:
                    seen = await person.message("general", answer.message_id)
                    if seen is not None and "⚠️" not in seen.text:
                        return
                await asyncio.sleep(0.3)

    async def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._folder.cleanup()
