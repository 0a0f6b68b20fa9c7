"""Tells operators by direct message what keeps the bot from working, once when it begins and once when it is over."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence

import aiohttp
import discord

from bot.doctor.machine import check_disk
from bot.doctor.report import Check, State
from bot.domain.mentions import neutral
from bot.i18n import Texts, texts_for
from bot.settings import Settings
from bot.storage.facts import Facts

__all__ = ["Alerts"]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
LOOKS = 2
"""A problem has to be there at so many looks in a row: a worker that starts again is none."""
_TOLD = "alerts:told"
_ALSO = frozenset({"backups"})
"""Checks whose warning is worth a message, too."""


class Alerts:
    def __init__(
        self,
        *,
        client: discord.Client,
        settings: Settings,
        facts: Facts,
        live: Callable[[Texts], Sequence[Check]],
        language_of: Callable[[int], str | None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._facts = facts
        self._live = live
        self._language_of = language_of
        self._seen: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._settings.alerts and self._settings.operators:
            self._task = asyncio.create_task(self._run(), name="alerts")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._client.wait_until_ready()
            try:
                await self.look()
            except Exception:
                log.exception("looking for trouble failed; it goes on")

    async def look(self) -> None:
        """What is told is stored first for what begins, so that a failing message is not repeated for ever."""
        checks = await self._checks(texts_for("en"))
        wrong = {check.name for check in checks if _matters(check)}
        # What is not quite well, such as a worker that starts again, is no new trouble and not the end of an old one.
        unwell = {check.name for check in checks if check.state is not State.OK}
        self._seen = {name: self._seen.get(name, 0) + 1 for name in wrong}
        told = set(json.loads(await self._facts.get(_TOLD) or "[]"))
        new = {name for name in wrong - told if self._seen[name] >= LOOKS}
        over = told - unwell
        if not new and not over:
            return
        await self._facts.put(_TOLD, json.dumps(sorted((told | new) - over)))
        for operator in sorted(self._settings.operators):
            texts = texts_for(self._language_of(operator) or "en")
            news = [check for check in await self._checks(texts) if check.name in new and _matters(check)]
            await self._tell(operator, _message(news, over, texts))

    async def _checks(self, texts: Texts) -> list[Check]:
        disk = await asyncio.to_thread(check_disk, texts, self._settings)
        return [*self._live(texts), disk]

    async def _tell(self, operator: int, text: str) -> None:
        try:
            user = await self._client.fetch_user(operator)
            await user.send(text)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("operator %s could not be told of trouble: %s", operator, error)


def _matters(check: Check) -> bool:
    return check.state is State.FAIL or (check.state is State.WARN and check.name in _ALSO)


def _message(checks: Iterable[Check], over: Iterable[str], texts: Texts) -> str:
    lines = [f"❌ **{check.label}** {neutral(check.details, 400)}\n-# → {neutral(check.fix, 400)}" for check in checks]
    lines += [
        texts("alerts.over", what=texts(f"startup.doctor.{name}.label"))
        for name in sorted(over)
        if texts.has(f"startup.doctor.{name}.label")
    ]
    lines.append("-# " + texts("alerts.how"))
    return "\n".join(lines)[:2000]
