"""Wires what admins and operators see and do of the running bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import discord

from bot.delivery.machine import Machine
from bot.dispatch.dispatcher import Dispatcher
from bot.domain.ids import UserId
from bot.domain.job import Job, JobStatus
from bot.domain.limits import Limits
from bot.settings import Settings
from bot.storage.administration import AdminAudit, AdminPanels, ServerSetups
from bot.storage.database import Database
from bot.storage.facts import Facts
from bot.storage.jobs import Jobs
from bot.storage.queue_gates import QueueGates
from bot.storage.usage import Usage
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.operations.addons import Addons
from bot.studio.operations.alerts import Alerts
from bot.studio.operations.backups import Backups
from bot.studio.operations.examining import EXAMINE_VERBS, Examining
from bot.studio.operations.panels import QueuePanels
from bot.studio.operations.prompt_export import PromptExports
from bot.studio.operations.queue_desk import QUEUE_VERBS, QueueDesk
from bot.studio.operations.setup_wizard import SETUP_VERBS, SetupWizard
from bot.studio.operations.sight import PromptSight
from bot.studio.operations.snapshot import QueueLooks
from bot.studio.operations.usage_report import USAGE_VERBS, UsageReports
from bot.studio.pressed import Pressed
from bot.studio.safety import SafetyParts
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
        models: Models,
        intake: Intake,
        limits: Limits,
        safety: SafetyParts,
        facts: Facts,
        language_of: Callable[[int], str | None],
        stewards: Stewards,
    ) -> None:
        self.audit = AdminAudit(database)
        self.backups = Backups(settings, self.audit, stewards)
        self.addons = Addons(dispatcher, stewards)
        self.examining = Examining(
            settings=settings,
            dispatcher=dispatcher,
            machine=machine,
            gates=gates,
            backups=self.backups,
            addons=self.addons,
            stewards=stewards,
        )
        self.alerts = Alerts(
            client=client, settings=settings, facts=facts, live=self.examining.live, language_of=language_of
        )
        self.setup = SetupWizard(
            client=client,
            data=settings.data,
            dispatcher=dispatcher,
            machine=machine,
            models=models,
            intake=intake,
            limits=limits,
            rules=safety.rules,
            limits_panel=safety.panel,
            classifier=safety.classifier,
            setups=ServerSetups(database),
            audit=self.audit,
            stewards=stewards,
        )
        self.reports = UsageReports(client=client, database_path=settings.database_path, stewards=stewards)
        self.prompt_log = PromptExports(
            database_path=settings.database_path,
            folder=settings.data / "prompt-logs",
            audit=self.audit,
            stewards=stewards,
        )
        self.usage = Usage(database)
        looks = QueueLooks(
            jobs=jobs,
            dispatcher=dispatcher,
            gates=gates,
            usage=self.usage,
            machine=machine,
            data=settings.data,
            audit=self.audit,
            sight=PromptSight(client),
            server_name=lambda guild_id: guild.name if (guild := client.get_guild(guild_id)) is not None else "",
            backed_up_at=lambda: self.backups.newest.made_at if self.backups.newest else None,
        )
        self.panels = QueuePanels(
            client=client,
            panels=AdminPanels(database),
            looks=looks,
            stewards=stewards,
            locale_of=self.setup.locale,
        )

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
        self.presses = {
            **dict.fromkeys(QUEUE_VERBS, self.queue),
            **dict.fromkeys(SETUP_VERBS, self.setup),
            **dict.fromkeys(EXAMINE_VERBS, self.examining),
            **dict.fromkeys(USAGE_VERBS, self.reports),
        }

    async def start(self) -> None:
        await self.panels.start()
        await self.backups.start()
        await self.alerts.start()

    async def stop(self) -> None:
        await self.alerts.stop()
        await self.backups.stop()
        await self.panels.stop()
