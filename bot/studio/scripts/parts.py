"""Wires everything about scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.domain.ids import JobId
from bot.domain.limits import Limits
from bot.storage.picture_looks import PictureLooks
from bot.storage.script_offers import ScriptOffers
from bot.storage.scripts import Progressed
from bot.studio.attachments import Attachments
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.safety import SafetyParts
from bot.studio.scripts.grids import Grids
from bot.studio.scripts.offering import Scripting
from bot.studio.scripts.outlook import Outlooks
from bot.studio.scripts.picking import CellPicking
from bot.studio.scripts.requesting import ScriptBases
from bot.studio.scripts.runner import ScriptRunner
from bot.studio.usual import Usuals
from bot.studio.wardrobe import Wardrobe
from bot.studio.wiring.kept import Kept
from bot.studio.wiring.line import LineParts
from bot.studio.wiring.words import Words
from bot.ui.client import Presses
from bot.ui.codec import Verb

__all__ = ["ScriptParts"]


class ScriptParts:
    def __init__(
        self,
        *,
        kept: Kept,
        line: LineParts,
        safety: SafetyParts,
        words: Words,
        intake: Intake,
        attachments: Attachments,
        models: Models,
        usuals: Usuals,
        wardrobe: Wardrobe,
        limits: Limits,
    ) -> None:
        self._offers = ScriptOffers(kept.database)
        self._scripts = kept.scripts
        looks = PictureLooks(kept.database)
        outlooks = Outlooks(scripts=kept.scripts, dispatcher=line.dispatcher, machine=line.machine, gates=kept.gates)
        grids = Grids(
            images=kept.images,
            scripts=kept.scripts,
            looks=looks,
            veils=safety.judge,
            wants_previews=line.wants_previews,
            outlook=outlooks.of,
        )
        line.editor.script_card = grids.card
        self.runner = ScriptRunner(
            database=kept.database,
            jobs=kept.jobs,
            images=kept.images,
            scripts=kept.scripts,
            looks=looks,
            grids=grids,
            editor=line.editor,
            cancel_sheets=line.dispatcher.cancel_sheets,
            ended=self._ended,
        )
        self.on_ended: list[Callable[[JobId], None]] = [line.deliverer.ended]
        """Who hears of a script that has ended."""
        line.relay.scripts = self.runner.job_ended
        self.scripting = intake.scripts = Scripting(
            intake=intake,
            offers=self._offers,
            inputs=kept.inputs,
            timings=kept.timings,
            limits=limits,
            standing=safety.limits.standing,
        )
        self.bases = ScriptBases(
            intake=intake,
            attachments=attachments,
            models=models,
            usuals=usuals,
            wardrobe=wardrobe,
            next_pictures=kept.next_pictures,
            dynamic=words.dynamic,
            limits=limits,
        )
        picking = CellPicking(
            jobs=kept.jobs, images=kept.images, scripts=kept.scripts, deliverer=line.deliverer, intake=intake
        )
        self.presses: Mapping[str, Presses] = {
            Verb.SCRIPT_DRAW: self.scripting,
            Verb.SCRIPT_CELLS: picking,
            Verb.SCRIPT_CELL: picking,
        }

    def _ended(self, script_id: JobId) -> None:
        for hear in self.on_ended:
            hear(script_id)

    async def open(self) -> list[JobId]:
        """Scripts that are not over."""
        return await self._scripts.open()

    async def progress(self, script_id: JobId) -> Progressed:
        return await self._scripts.progress(script_id)

    async def start(self) -> None:
        await self._offers.drop_old()
        await self._offers.give_back()
        await self.runner.start()

    async def stop(self) -> None:
        await self.runner.stop()
