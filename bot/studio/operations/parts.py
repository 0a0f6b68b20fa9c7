"""Wires what admins and operators see and do of the running bot."""

from __future__ import annotations

from collections.abc import Mapping

import discord

from bot.delivery.machine import Machine
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import UserId
from bot.domain.job import Job, JobStatus
from bot.settings import Settings
from bot.storage.administration import AdminAudit, AdminPanels
from bot.storage.database import Database
from bot.storage.jobs import Jobs
from bot.storage.queue_gates import QueueGates
from bot.storage.usage import Usage
from bot.studio.operations.panels import QueuePanels
from bot.studio.operations.queue_desk import QUEUE_VERBS, QueueDesk
from bot.studio.operations.snapshot import QueueLooks
from bot.studio.pressed import Pressed
from bot.studio.stewards import Stewards
from bot.ui.client import Presses

__all__ = ["Operations"]


class Operations:
    """`presses` are who answers which verb."""

    presses: Mapping[str, Presses]

    def __init__(
        self,
        *,
        client: discord.Client,
        settings: Settings,
        database: Database,
        jobs: Jobs,
        dispatcher: Dispatcher,
        gates: QueueGates,
        machine: Machine,
        pressed: Pressed,
        stewards: Stewards,
    ) -> None:
        self.stewards = stewards
        self.audit = AdminAudit(database)
        self.usage = Usage(database)
        looks = QueueLooks(
            jobs=jobs,
            dispatcher=dispatcher,
            gates=gates,
            usage=self.usage,
            machine=machine,
            data=settings.data,
            backed_up_at=lambda: None,
        )
        self.panels = QueuePanels(client=client, panels=AdminPanels(database), looks=looks, stewards=stewards)

        async def drop(job: Job, by: UserId) -> JobStatus | None:
            return await pressed.cancel(job, by, moderator=True)

        self.queue = QueueDesk(
            jobs=jobs,
            dispatcher=dispatcher,
            gates=gates,
            audit=self.audit,
            panels=self.panels,
            stewards=stewards,
            drop=drop,
        )
        self.presses = {**dict.fromkeys(QUEUE_VERBS, self.queue)}

    async def start(self) -> None:
        await self.panels.start()

    async def stop(self) -> None:
        await self.panels.stop()
