"""Add-ons in the running bot: their commands loaded, each guarded, and /addons."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from discord.ext import commands

from bot.dispatch.dispatcher import Dispatcher
from bot.doctor.addons import addon_checks
from bot.doctor.report import Check
from bot.domain.mentions import neutral
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.studio.model_admin.reports import plain_card
from bot.studio.model_admin.telling import answer, texts_of
from bot.studio.stewards import Stewards
from bot.ui.client import Interaction
from gpu_worker.language.addons import FoundAddon, installed_addons
from gpu_worker.protocol.messages import AddonFact

__all__ = ["ADDON_PREFIX", "Addons"]

log = logging.getLogger(__name__)

ADDON_PREFIX = "addon:"
"""Begins every custom_id of an add-on, which answers it itself."""
LOAD_WITHIN_S = 20.0
SHOWN = 15


class Addons:
    def __init__(self, dispatcher: Dispatcher, stewards: Stewards) -> None:
        self._dispatcher = dispatcher
        self._stewards = stewards
        self._failed: list[tuple[str, str]] = []
        """Add-on and why its commands are not there."""
        self._loaded: dict[str, list[str]] = {}

    async def load(self, bot: commands.Bot | commands.AutoShardedBot) -> None:
        """Before commands are sent to Discord. Never raises for an add-on's fault, and none of them waits for ever."""
        for found in await asyncio.to_thread(installed_addons):
            for module in found.addon.cogs if found.addon is not None else ():
                before = {command.name for command in bot.tree.get_commands()}
                try:
                    async with asyncio.timeout(LOAD_WITHIN_S):
                        await bot.load_extension(module)
                except (Exception, SystemExit) as error:
                    log.exception("add-on %s: its commands in %s cannot be loaded", found.name, module)
                    cause = error.__cause__ or error
                    self._failed.append((found.name, f"{module}: {type(cause).__name__}: {cause}"[:300]))
                else:
                    new = [command.name for command in bot.tree.get_commands() if command.name not in before]
                    self._loaded.setdefault(found.name, []).extend(new)
                    log.info("add-on %s: %s loaded", found.name, module)

    async def withdraw(self, bot: commands.Bot | commands.AutoShardedBot, reason: str) -> bool:
        """Discord refused the commands: those of add-ons are taken back, for ours were accepted before. Whether there
        were any."""
        loaded = [
            (found.name, module)
            for found in await asyncio.to_thread(installed_addons)
            for module in (found.addon.cogs if found.addon is not None else ())
            if module in bot.extensions
        ]
        for name, module in loaded:
            try:
                await bot.unload_extension(module)
            except Exception:
                log.exception("add-on %s: %s could not be unloaded", name, module)
            log.error("add-on %s: its commands are taken back, because Discord refuses them: %s", name, reason)
            self._failed.append((name, f"Discord refuses its commands: {reason}"[:300]))
            self._loaded.pop(name, None)
        return bool(loaded)

    def checks(self, say: Texts) -> list[Check]:
        return addon_checks(say, installed_addons(), self._of_workers(), self._failed)

    async def command(self, interaction: Interaction) -> None:
        """Raises UserFacingError (`operator_alone`)."""
        if not self._stewards.is_operator(interaction):
            raise UserFacingError("operator_alone")
        texts = texts_of(interaction)
        await answer(interaction, plain_card(self.text(texts)))

    def text(self, texts: Texts) -> str:
        found = installed_addons()
        lines = [texts("addons.title")]
        lines += [self._lines(one, texts) for one in found[:SHOWN]]
        if not found:
            lines.append(texts("addons.none"))
        if len(found) > SHOWN:
            lines.append(texts("addons.more", n=len(found) - SHOWN))
        lines.append("-# " + texts("addons.how"))
        return "\n".join(lines)

    def _lines(self, one: FoundAddon, texts: Texts) -> str:
        title = one.addon.title if one.addon is not None else one.name
        version = f" {neutral(one.version, 30)}" if one.version else ""
        head = f"**{neutral(title, 80)}**{version} · `{neutral(one.name, 40)}`"
        if one.off:
            return f"⏹️ {head}\n-# {texts('addons.off')}"
        worker = [fact for fact in self._of_workers() if fact.name == one.name]
        found: list[str] = [one.problem] if one.problem else []
        found += [fact.problem for fact in worker if fact.problem]
        found += [problem for name, problem in self._failed if name == one.name]
        problems = list(dict.fromkeys(found))
        parts = [f"/{name}" for name in self._loaded.get(one.name, [])]
        parts += sorted({part for fact in worker for part in fact.parts})
        lines = [f"{'⚠️' if problems else '✅'} {head}"]
        if one.addon is not None and one.addon.description:
            lines.append(neutral(one.addon.description, 200))
        if parts:
            lines.append("-# " + texts("addons.parts", parts=neutral(", ".join(parts), 300)))
        lines += ["-# " + texts("addons.problem", problem=neutral(problem, 300)) for problem in problems]
        return "\n".join(lines)

    def _of_workers(self) -> Sequence[AddonFact]:
        return [fact for view in self._dispatcher.workers for fact in view.hello.addons]
