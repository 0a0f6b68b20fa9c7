"""The real bot and the playground's Discord in one event loop, with a painter instead of a worker. See README.md."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import re
import sqlite3
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import discord
import discord.asset
import discord.gateway
import discord.http
from aiohttp import web, web_app
from aiohttp.typedefs import Handler
from discord.gateway import KeepAliveHandler
from pydantic_settings import SettingsConfigDict

from bot.app import PincelBot, create_bot
from bot.broker.keys import Keys
from bot.dispatch.dispatcher import Leases
from bot.playground.clock import WallClock
from bot.playground.redirect import point_discord_at
from bot.playground.server import Options, Playground, serve
from bot.playground.state import LocalDiscord
from bot.settings import Settings
from bot.storage.database import Database, open_database
from bot.studio import Studio, StudioParts
from bot.studio.monitoring.meters import Meters
from tests.stage.painter import Painter
from tests.stage.visitor import StageVisitor

__all__ = ["Fault", "Stage", "open_stage"]

CONNECTED_WITHIN_S = 20.0
PATIENT = Leases(heartbeat_s=3600, lease_s=3600, quiet_s=0)
"""The painter sends no heartbeats, and trains at once."""


class StageSettings(Settings):
    """Nothing of the developer's environment; no demo checkpoint, so no file is read and no reader process started."""

    model_config = SettingsConfigDict(env_file=None)

    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, init_settings: Any, **_: Any) -> tuple[Any, ...]:
        return (init_settings,)

    @property
    def demo_dir(self) -> Path:
        return self.data / "no-demo"


@dataclass
class Fault:
    """How one kind of request of the bot's goes wrong. `path` is searched in what follows /api/v10."""

    method: str
    path: str
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    times: int = 1
    carried_out: bool = False
    """The request is carried out and only its answer is lost."""
    met: int = 0
    """How often it has happened."""

    def fits(self, request: web.Request) -> bool:
        path = request.path.removeprefix("/api/v10")
        return self.times > 0 and request.method == self.method and re.search(self.path, path) is not None


@dataclass
class _Life:
    """One bot, from start to stop or death. Everything it spawns is in `tasks`."""

    database: Database
    bot: PincelBot
    tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    running: asyncio.Task[None] | None = None


_LIFE: contextvars.ContextVar[_Life | None] = contextvars.ContextVar("stage life", default=None)


class Stage:
    """Made by `open_stage`. `painter`, `playground`, `clock` (advance it) and `settings` outlive each bot."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.clock = WallClock()
        self.settings = StageSettings(data=folder / "data", **settings)
        self.painter = Painter(folder / "painter")
        self.keys: Keys | None = None
        """Of a broker, for the bots that start from now on; None: there is none."""
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        """Method and path of everything that the bot has asked of Discord."""
        self._playground: Playground | None = None
        self._life: _Life | None = None
        self._changes: set[asyncio.Future[None]] = set()
        self._stack = contextlib.AsyncExitStack()

    # --- what there is ------------------------------------------------------------------------------------------------

    @property
    def bot(self) -> PincelBot:
        assert self._life is not None, "the bot is not running"
        return self._life.bot

    @property
    def studio(self) -> Studio:
        return self.bot.studio

    @property
    def playground(self) -> Playground:
        assert self._playground is not None
        return self._playground

    @property
    def discord(self) -> LocalDiscord:
        """The emulated Discord's state: make channels, roles and people, take permissions away, delete messages."""
        return self.playground.world.discord

    @property
    def guild_id(self) -> int:
        return self.playground.world.guild_id

    def channel_id(self, name: str) -> int:
        return next(found.id for found in self.discord.channels.values() if found.name == name)

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """What the database says, read beside the bot."""
        with contextlib.closing(sqlite3.connect(self.settings.database_path, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()

    def execute(self, sql: str, *values: Any) -> None:
        """Changes the database behind the bot's back."""
        with contextlib.closing(sqlite3.connect(self.settings.database_path, timeout=10)) as connection, connection:
            connection.execute(sql, values)

    # --- people -------------------------------------------------------------------------------------------------------

    async def visitor(self, name: str = "Member") -> StageVisitor:
        """ "Member" and "Moderator" (English), "Admin" (Spanish, owns the server), or anybody else, who joins as an
        ordinary member. The same name is the same person; each call a session of its own."""
        if name not in self.playground.world.people:
            self._join(name)
        visitor = await StageVisitor.enter(self.playground.endpoints.page, name)
        visitor.stage = self
        self._stack.push_async_callback(visitor.close)
        return visitor

    def _join(self, name: str) -> None:
        user = self.discord.make_user(name.lower().replace(" ", "-"), global_name=name)
        self.discord.add_member(self.guild_id, user.id)
        self.discord.get_dm_channel(user.id)
        self.discord.locales[user.id] = "en-US"
        self.playground.world.people[name] = user.id

    # --- trouble ------------------------------------------------------------------------------------------------------

    def fault(
        self,
        method: str,
        path: str,
        status: int,
        *,
        code: int = 0,
        times: int = 1,
        retry_after_s: float | None = None,
        carried_out: bool = False,
    ) -> Fault:
        """The next `times` requests like this get that status and Discord error code instead of their answer.

        discord.py itself repeats 500, 502, 504 and 524 five times with seconds between them (503 it does not), and
        429 after `retry_after_s`.
        """
        headers: dict[str, str] = {}
        body: dict[str, Any] = {"code": code, "message": "a fault of the stage"}
        if status == 429:
            wait_s = 0.01 if retry_after_s is None else retry_after_s
            headers = {"Via": "1.1 stage", "Retry-After": str(wait_s)}
            body |= {"retry_after": wait_s, "global": False}
        made = Fault(method, path, status, body, headers, times, carried_out)
        self.faults.append(made)
        return made

    @web.middleware
    async def _interfere(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        self.requests.append((request.method, request.path.removeprefix("/api/v10")))
        fault = next((each for each in self.faults if each.fits(request)), None)
        if fault is None:
            return await handler(request)
        fault.times -= 1
        fault.met += 1
        self._tell_change(None)
        if fault.carried_out:
            await handler(request)
        # discord.py wants exactly this type, without a charset.
        data = json.dumps(dict(fault.body)).encode()
        return web.Response(status=fault.status, body=data, content_type="application/json", headers=fault.headers)

    # --- waiting ------------------------------------------------------------------------------------------------------

    def change(self) -> asyncio.Future[None]:
        """Done at the next change of any message, and at the next fault. Take it before looking, then wait for it."""
        future = asyncio.get_running_loop().create_future()
        self._changes.add(future)
        return future

    def _tell_change(self, _: object) -> None:
        waiting, self._changes = self._changes, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def told(self, within_s: float = 60.0) -> None:
        """Until no job waits, is drawn, or has a result that was not posted."""
        async with asyncio.timeout(within_s):
            scripts = self.studio.scripts
            while await self.studio.jobs.queue() or await scripts.open() or await self.studio.jobs.untold():
                await asyncio.sleep(0.005)

    # --- the bot's lives ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """The playground, then the bot."""
        self._playground = await self._stack.enter_async_context(
            serve(Options(self.folder / "playground", middlewares=(self._interfere,)), self.clock)
        )
        self.discord.watchers.append(self._tell_change)
        point_discord_at(self.playground.endpoints)
        await self.start_bot()

    async def close(self) -> None:
        try:
            await self.stop_bot()
        finally:
            await self._quiet()
            await self._stack.aclose()
            # It would keep the last thousand handlers, and with them every stage of the process.
            web_app._cached_build_middleware.cache_clear()

    async def start_bot(self) -> None:
        """As bot/__main__.py wires it; returns once it is connected."""
        database = await open_database(self.settings.database_path)
        meters = Meters() if self.settings.metrics else None
        parts = StudioParts(self.settings, database, self.painter, leases=PATIENT, meters=meters, keys=self.keys)
        life = self._life = _Life(database, create_bot(parts))
        # discord.py calls itself ready when no guild has come for two seconds; ours come at once.
        life.bot._connection.guild_ready_timeout = 0.05
        token = _LIFE.set(life)
        try:
            life.running = asyncio.create_task(life.bot.start(self.playground.endpoints.token), name="bot")
            ready = asyncio.create_task(_ready(life.bot), name="ready")
        finally:
            _LIFE.reset(token)
        async with asyncio.timeout(CONNECTED_WITHIN_S):
            await asyncio.wait({life.running, ready}, return_when=asyncio.FIRST_COMPLETED)
            if life.running.done():
                ready.cancel()
                life.running.result()
            await ready

    async def stop_bot(self, *, kill: bool = False) -> None:
        """In good order, or, with `kill`, as a dying process does: sockets break, no statement is written any more,
        nothing cleans up after itself. Pictures that the painter had finished are kept for the next bot."""
        life, self._life = self._life, None
        if life is None:
            return
        if kill:
            await self._kill(life)
        else:
            await life.bot.close()
            assert life.running is not None
            await asyncio.gather(life.running, return_exceptions=True)
            await life.database.close()

    async def _quiet(self) -> None:
        """No thread of discord.py's is left that would speak to this loop when it is closed."""
        loop = asyncio.get_running_loop()
        mine = [t for t in threading.enumerate() if isinstance(t, KeepAliveHandler) and t.ws.loop is loop]
        for thread in mine:
            thread.stop()
        for thread in mine:
            await asyncio.to_thread(thread.join, 10)

    async def restart(self, *, kill: bool = False) -> None:
        """Another bot on the same database, in front of the same Discord."""
        await self.stop_bot(kill=kill)
        await self.start_bot()

    async def _kill(self, life: _Life) -> None:
        self.painter.kill()
        # What cleans up as it is cancelled finds no database and no Discord; a transaction that is open rolls back.
        database: Any = life.database
        database.write = database.write_one = _dead
        life.bot.close = _nothing
        tasks = {task for task in life.tasks if not task.done()}
        for task in tasks:
            task.cancel()
        session: Any = life.bot.http._HTTPClient__session  # pyright: ignore[reportAttributeAccessIssue]
        if session.connector is not None:
            await session.connector.close()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks, life.running or _nothing(), return_exceptions=True)
        # What a dead process would not have to do: the sockets and threads of this one.
        await life.bot.http.close()
        await life.bot.studio.downloads.stop()
        await life.database.close()

    def spawned(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any) -> Any:
        """The loop's task factory: remembers what belongs to which bot."""
        task = asyncio.Task(coroutine, loop=loop, **kwargs)
        life = _LIFE.get()
        if life is not None:
            life.tasks.add(task)
            task.add_done_callback(life.tasks.discard)
        return task


async def _nothing() -> None: ...


def _dead(*_: object, **__: object) -> Any:
    raise RuntimeError("the process that wanted to write this is dead")


async def _ready(bot: PincelBot) -> None:
    while bot._ready is discord.utils.MISSING:
        await asyncio.sleep(0.005)  # before its login there is nothing yet that could be waited for
    await bot.wait_until_ready()


@contextlib.asynccontextmanager
async def open_stage(folder: Path, **settings: Any) -> AsyncGenerator[Stage]:
    """`settings` are fields of bot.settings.Settings."""
    stage = Stage(folder, settings)
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    addresses = (discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY, discord.asset.Asset.BASE)
    loop.set_task_factory(stage.spawned)
    try:
        await stage.open()
        yield stage
    finally:
        try:
            await stage.close()
        finally:
            loop.set_task_factory(before)
            discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = addresses[:2]
            discord.asset.Asset.BASE = addresses[2]  # type: ignore[misc]
