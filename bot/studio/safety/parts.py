"""Wires everything about limits, content and moderation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import discord

from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import UserId
from bot.domain.model_rules import EVERYWHERE
from bot.storage.appeals import Appeals
from bot.storage.bans import Bans
from bot.storage.database import Database
from bot.storage.facts import Timings
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.picture_looks import PictureLooks
from bot.storage.safety_events import SafetyEvents
from bot.storage.server_rules import ServerRuleBook
from bot.storage.spending import Spending
from bot.studio.safety.amounts import BanCheck, LimitCheck, PlaceCheck
from bot.studio.safety.appeals_desk import APPEAL_VERBS, AppealDesk
from bot.studio.safety.audit import SafetyLog
from bot.studio.safety.content import ContentCheck
from bot.studio.safety.moderation import MODERATION_VERBS, Moderation
from bot.studio.safety.origins import Origins
from bot.studio.safety.panel import PANEL_VERBS, LimitsPanel
from bot.studio.safety.places import Places
from bot.studio.safety.request import SafetyDoor
from bot.studio.safety.results import PictureJudge
from bot.studio.stewards import Stewards
from bot.ui.client import Presses
from gpu_worker.protocol.nats.subjects import is_embedded_name

__all__ = ["SafetyParts"]

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 3600.0


class SafetyParts:
    def __init__(
        self,
        *,
        client: discord.Client,
        database: Database,
        jobs: Jobs,
        images: Images,
        timings: Timings,
        stewards: Stewards,
        dispatcher: Callable[[], Dispatcher],
        own_classifier: str | None = None,
    ) -> None:
        """`dispatcher` is asked later: it is made with our judge. `own_classifier` is what the bot itself looks with at
        what remote workers send."""
        self._own_classifier = own_classifier
        self._dispatcher = dispatcher
        self._jobs = jobs
        self.rules = ServerRuleBook(database)
        self.bans = Bans(database)
        events, appeals = SafetyEvents(database), Appeals(database)
        self.audit = SafetyLog(client, events, self.rules)
        self.places = Places(client, self.rules, lambda: self.classifier() is not None)
        self.origins = origins = Origins(jobs, images)
        self.judge = PictureJudge(
            places=self.places, origins=origins, rules=self.rules, looks=PictureLooks(database), audit=self.audit
        )
        spending = Spending(database, timings.estimate_s)
        self.limits = LimitCheck(self.rules, spending, timings.estimate_s)
        self._sweeps = (spending.sweep, appeals.sweep)
        self._sweeping: asyncio.Task[None] | None = None
        content = ContentCheck(places=self.places, origins=origins, rules=self.rules, appeals=appeals, audit=self.audit)
        self.door = SafetyDoor(
            rules=(BanCheck(self.bans, appeals, self.audit), PlaceCheck(self.rules), content),
            amounts=(self.limits,),
            seen=self.judge,
        )
        self.moderation = Moderation(
            bans=self.bans,
            rules=self.rules,
            events=events,
            audit=self.audit,
            stewards=stewards,
            stop_jobs=self._stop_jobs,
        )
        self.panel = LimitsPanel(
            client=client, rules=self.rules, audit=self.audit, stewards=stewards, classifier=self.classifier
        )
        self.appeals = AppealDesk(client, appeals, self.bans, self.audit)

    @property
    def presses(self) -> dict[str, Presses]:
        return {
            **dict.fromkeys(PANEL_VERBS, self.panel),
            **dict.fromkeys(APPEAL_VERBS, self.appeals),
            **dict.fromkeys(MODERATION_VERBS, self.moderation),
        }

    def classifier(self) -> str | None:
        """What looks at every picture; None where nothing does. Of the bot's own workers it is theirs. A remote one is
        not believed: while any is there, only the bot's own counts."""
        if self._has_remote:
            return self._own_classifier
        views = (view for view in self._dispatcher().workers if view.compatible)
        return next((view.hello.safety for view in views if view.hello.safety), None)

    def looks_itself(self) -> bool:
        """At what the bot's own workers have not looked at: while a remote one is there, all are to be looked at."""
        return self._own_classifier is not None and self._has_remote

    @property
    def _has_remote(self) -> bool:
        return any(view.compatible and not is_embedded_name(view.name) for view in self._dispatcher().workers)

    async def _stop_jobs(self, user_id: int, place: int, by: int) -> int:
        waiting = [job for job in await self._jobs.waiting_of(UserId(user_id)) if place in (EVERYWHERE, job.guild_id)]
        for job in waiting:
            await self._dispatcher().cancel(job.id, UserId(by))
        return len(waiting)

    async def start(self) -> None:
        await self.rules.load()
        self.audit.start()
        self._sweeping = asyncio.create_task(self._sweep_forever(), name="safety-sweep")

    async def _sweep_forever(self) -> None:
        while True:
            for sweep in self._sweeps:
                try:
                    await sweep()
                except Exception:
                    log.exception("what safety need not keep could not be removed; it is tried again")
            await asyncio.sleep(SWEEP_EVERY_S)

    async def stop(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await self.audit.stop()
