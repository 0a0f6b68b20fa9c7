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
START_S = 180.0
"""Loading torch takes most of it, on a busy machine with a cold disk."""
STOP_S = 20.0
_PAGE = re.compile(r"http://\S+\?key=\S+")


def clean_environment(**settings: str) -> dict[str, str]:
    """This environment without a token or any setting of the operator's: a figure must not depend on them."""
    own = {key: value for key, value in os.environ.items() if not key.upper().startswith(("PINCEL_", "DISCORD_"))}
    return {**own, "PYTHONPATH": str(CHECKOUT), **settings}


class Product:
    """`async with Product() as product`: started, its worker warm.

    Raises RuntimeError with the last lines of the bot or worker where it does not start, TimeoutError where it hangs.
    """

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
            await asyncio.wait_for(self._come_up(), START_S)
        except BaseException as error:
            ended = self._process.returncode is not None
            said = (self.data / "bench.log").read_text(errors="replace")[-2000:]
            await self._stop()
            if ended:
                raise RuntimeError(f"the bot ended while it started:\n{said}") from error
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

    async def _come_up(self) -> None:
        self.page = await self._find_page()
        async with await Person.enter(self.page, "Member") as person:
            await person.wait_for_bot(START_S, "imagine")
            await self._draw_one(person)

    async def _find_page(self) -> str:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            found = _PAGE.search(line.decode(errors="replace"))
            if found:
                return found[0]
        await self._process.wait()
        raise RuntimeError("it printed no address")

    async def _draw_one(self, person: Person) -> None:
        """A first small picture: afterwards the worker is there and its model loaded."""
        await person.slash("general", "imagine", {"prompt": "a circle", "steps": 1, "count": 1})
        while True:
            await asyncio.sleep(0.3)
            status = str((await asyncio.to_thread(self.rows, "SELECT status FROM jobs"))[0][0])
            if status in ("failed", "cancelled"):
                raise RuntimeError(
                    f"the first picture {status}; {(self.data / 'logs' / 'worker.log').read_text()[-1000:]}"
                )
            if status == "delivered":
                return

    async def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._folder.cleanup()
