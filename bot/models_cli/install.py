"""`models install`: fetches entries of the catalogue, holds each to its hash, looks into it, and only then puts it
where the library finds it. What was fetched before an interruption is kept below `installs` in the data folder."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from bot import exit_codes
from bot.catalogue import Entry
from bot.downloads.beside import put_beside
from bot.downloads.fetch import FetchLimits, FetchProgress
from bot.errors import StartupError, UserFacingError
from bot.models_cli.console import Console, sentence, size
from bot.models_cli.finish import REFUSALS, put_in_place
from bot.models_cli.listing import offer_line, sum_of, total_bytes
from bot.models_cli.network import Network, open_network
from bot.models_cli.there import There, look
from bot.operator_language import plain
from bot.settings import Settings

__all__ = ["install", "parts_folder"]

log = logging.getLogger(__name__)

ROOM_BYTES = FetchLimits().spare_bytes
"""Left free on the disk, or the client refuses; SQLite and pictures need it."""
_SHOW_EVERY_S = 0.2


def parts_folder(settings: Settings, entry: Entry) -> Path:
    """Where an entry's unfinished file waits; the key is a plain name, and another file waits elsewhere."""
    return settings.data / "installs" / f"{entry.key}-{(entry.sha256 or '')[:12]}"


async def install(console: Console, settings: Settings, entries: Sequence[Entry], *, yes: bool) -> int:
    """OK where everything asked for is there in the end, or nothing was wanted; UNEXPECTED where something failed."""
    there = look(settings)
    wanted = _plan(console, settings, there, entries)
    blocked = [entry for entry in entries if not entry.installable and there.holds(entry) is None]
    if not wanted:
        if not blocked:
            console.tell(console.say("models_cli.install.nothing"))
        return exit_codes.UNEXPECTED if blocked else exit_codes.OK
    if not yes:
        if not console.interactive():
            console.tell(console.say("models_cli.install.needs_yes"))
            return exit_codes.USAGE
        if not console.agreed(console.say("models_cli.install.question")):
            console.tell(console.say("models_cli.install.declined"))
            return exit_codes.OK
    failed = 0
    async with open_network(settings) as network:
        for entry in wanted:
            failed += not await _install_one(console, settings, network, entry)
    done = len(wanted) - failed
    if done:
        console.tell(console.say("models_cli.install.summary", n=done))
    if failed:
        console.tell(console.say("models_cli.install.again", n=failed))
    return exit_codes.UNEXPECTED if failed or blocked else exit_codes.OK


def _plan(console: Console, settings: Settings, there: There, entries: Sequence[Entry]) -> list[Entry]:
    """Says what is there, what can be fetched and what cannot. Raises StartupError where the disk is too small."""
    say = console.say
    wanted: list[Entry] = []
    for entry in entries:
        if there.holds(entry):
            console.tell(f"  {entry.key}: {say('models_cli.install.there')}")
        elif not entry.installable:
            console.tell(f"  {entry.key}: {say('models_cli.install.unverified', key=entry.key)}")
        else:
            wanted.append(entry)
    if not wanted:
        return []
    for entry in wanted:
        console.tell(offer_line(console, entry, there))
    folder = next(path for path in (settings.models_dir, *settings.models_dir.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    console.tell(say("models_cli.install.total", size=sum_of(console, wanted), free=size(free)))
    console.tell(say("models_cli.install.licences"))
    needed = _needed_bytes(settings, wanted)
    if free < needed:
        values = {"folder": folder, "free": size(free), "needed": size(needed)}
        sentence, _, fix = say("models_cli.install.no_space", **values).partition(". ")
        raise StartupError(f"{sentence}.", fix, exit_codes.UNEXPECTED)
    if settings.disk_budget_gb is not None:
        after, budget = there.size_bytes() + total_bytes(wanted)[0], int(settings.disk_budget_gb * 10**9)
        if after > budget:
            console.tell(say("models_cli.install.budget", size=size(after), budget=size(budget)))
    return wanted


def _needed_bytes(settings: Settings, wanted: Sequence[Entry]) -> int:
    """A pickle lies on the disk twice for a moment; what an interrupted run left there counts as there."""
    missing = sum(max((entry.size_bytes or 0) - _held_bytes(parts_folder(settings, entry)), 0) for entry in wanted)
    twice = max((entry.size_bytes or 0 for entry in wanted if entry.allow_pickle), default=0)
    return missing + twice + ROOM_BYTES


def _held_bytes(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except OSError:
        return 0


async def _install_one(console: Console, settings: Settings, network: Network, entry: Entry) -> bool:
    say = console.say
    folder = parts_folder(settings, entry)
    shown_at = 0.0

    def show(progress: FetchProgress) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at < _SHOW_EVERY_S:
            return
        shown_at = time.monotonic()
        values = {"done": size(progress.received_bytes), "rate": size(int(progress.rate_bytes_s))}
        total = size(progress.total_bytes or entry.size_bytes)
        console.replace_line(say("models_cli.install.fetching", title=entry.title, total=total, **values))

    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        beside = await network.fetch_beside(entry, folder) if entry.beside_url else None
        file = await network.fetch(entry, folder, show)
        placed = await put_in_place(console, settings, entry, file)
        if beside is not None:
            await asyncio.to_thread(put_beside, beside, placed)
    except UserFacingError as error:
        reason = sentence(say, error)
        if error.key in REFUSALS:
            # It would be the same file again.
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    except OSError as error:
        reason = say(
            "models_cli.install.unwritable", folder=settings.data, reason=error.strerror or type(error).__name__
        )
    else:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        console.end_line()
        console.tell("✓ " + say("models_cli.install.done", title=entry.title, file=plain(str(placed))))
        return True
    console.end_line()
    console.tell("✗ " + say("models_cli.install.failed", title=entry.title, reason=reason))
    return False
