"""The whole: a local Discord with as many people as wished, the bot, a time, and the count afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bot.playground.clock import WallClock
from bot.playground.person import Person
from bot.playground.server import Options, Playground, serve
from tests.soak.audit import Found, audit, faults_in, open_jobs
from tests.soak.people import Seen, Soaker

__all__ = ["Report", "Wish", "soak"]

CHECKOUT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0
SETTLED_WITHIN_S = 600.0


@dataclass(frozen=True)
class Wish:
    users: int = 500
    minutes: float = 10.0
    seed: int = 1
    every_s: float = 20.0
    """Between two doings of one person, on average."""


@dataclass
class Report:
    wish: Wish
    seen: Seen
    found: Found
    faults: list[str]
    watch: dict[str, Any] = field(default_factory=dict[str, Any])
    settled_s: float = 0.0

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled, unanswered or failed. Time is told, not judged: it is the machine's, too."""
        return not (self.found.lost or self.found.doubled or self.seen.unanswered or self.faults)


async def soak(wish: Wish, folder: Path) -> Report:
    seen = Seen()
    async with serve(Options(folder / "playground"), WallClock()) as playground:
        names = _people(playground, wish.users)
        async with _bot(folder, playground) as log:
            async with contextlib.AsyncExitStack() as stack:
                people = [await _enter(stack, playground, name) for name in names]
                await people[0].wait_for_bot(READY_WITHIN_S)
                until = asyncio.get_running_loop().time() + wish.minutes * 60
                lives = [
                    Soaker(person, seen, f"{wish.seed}:{person.name}", wish.every_s).live(until) for person in people
                ]
                await asyncio.gather(*lives)
            settled_s = await _settled(folder)
            watch = json.loads((folder / "watch.json").read_text(encoding="utf-8"))
        public = [message for channel in playground.world.discord.messages.values() for message in channel.values()]
        found = audit(folder / "data" / "pincel.sqlite", public)
        return Report(wish, seen, found, faults_in(log.read_text(encoding="utf-8")), watch, settled_s)


def _people(playground: Playground, count: int) -> list[str]:
    world = playground.world
    for number in range(count):
        user = world.discord.make_user(f"soak-{number}", global_name=f"Soak {number}")
        world.discord.add_member(world.guild_id, user.id)
        world.discord.get_dm_channel(user.id)
        world.discord.locales[user.id] = "en-US" if number % 2 else "es-ES"
        world.people[f"Soak {number}"] = user.id
    return [f"Soak {number}" for number in range(count)]


async def _enter(stack: contextlib.AsyncExitStack, playground: Playground, name: str) -> Person:
    return await stack.enter_async_context(await Person.enter(playground.endpoints.page, name))


@contextlib.asynccontextmanager
async def _bot(folder: Path, playground: Playground) -> Any:
    """Its log's path."""
    log = folder / "bot.log"
    told = {
        "endpoints": asdict(playground.endpoints),
        "painter": str(folder / "painter"),
        "watch": str(folder / "watch.json"),
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PINCEL_", "DISCORD_"))}
    settings = {
        "SOAK": json.dumps(told), "DISCORD_TOKEN": playground.endpoints.token, "PINCEL_DATA": str(folder / "data"),
        "PINCEL_LOG_LEVEL": "warning", "PYTHONPATH": str(CHECKOUT), "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.soak.bot_process", "--env-file", str(folder / "no-such.env"),
            cwd=CHECKOUT, env={**kept, **settings}, stdout=out, stderr=out, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield log
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(60):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _settled(folder: Path) -> float:
    """Seconds until no job is open any more, or the patience is over; what is open then counts as lost."""
    start = time.monotonic()
    while time.monotonic() - start < SETTLED_WITHIN_S:
        if not await asyncio.to_thread(open_jobs, folder / "data" / "pincel.sqlite"):
            break
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)  # the watch writes once a second
    return time.monotonic() - start
