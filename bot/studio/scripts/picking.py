"""Single cells of a grid, on demand: picked from a list under it, posted as a card with everything a picture can do."""

from __future__ import annotations

import asyncio
import logging

import discord

from bot.delivery.deliver import Deliverer
from bot.delivery.grid_card import CELLS_LISTED, cells_row
from bot.delivery.ladder import DEFAULT_LIMIT_BYTES
from bot.delivery.post import Card, TooLargeError
from bot.domain.ids import JobId, MessageId
from bot.domain.job import Job
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.images import Images
from bot.storage.jobs import Jobs
from bot.storage.scripts import Scripts
from bot.studio.intake import Intake
from bot.studio.where import where_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.selects import chosen_value

__all__ = ["CellPicking"]

log = logging.getLogger(__name__)

_TOO_LARGE = 40005


class CellPicking:
    def __init__(self, *, jobs: Jobs, images: Images, scripts: Scripts, deliverer: Deliverer, intake: Intake) -> None:
        self._jobs = jobs
        self._images = images
        self._scripts = scripts
        self._deliverer = deliverer
        self._intake = intake

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `job_unknown`, `not_your_picture`, `cell_gone`, `cell_file_gone`,
        `picture_veiled`, and what the door says."""
        job = await self._jobs.get(JobId(address.id))
        if job is None or job.script is None:
            raise UserFacingError("job_unknown")
        if job.private and job.user_id != interaction.user.id:
            raise UserFacingError("not_your_picture")
        value = chosen_value(interaction)
        number = int(value) if value.isdecimal() and len(value) < 5 else -1
        if address.verb == Verb.SCRIPT_CELLS:
            await self._list(interaction, job, number)
        else:
            await self._post(interaction, job, number)

    async def _list(self, interaction: Interaction, job: Job, start: int) -> None:
        """The part of the list that begins there, for whoever picks."""
        assert job.script is not None
        expanded = await asyncio.to_thread(job.script.expanded)
        labels = {cell.index: cell.note or "" for cell in expanded.cells}
        there = [cell for cell in await self._scripts.pictures(job.id) if not cell.deleted]
        cells = [(cell.place, labels.get(cell.place, "")) for cell in there]
        if not 0 <= start < len(cells):
            raise UserFacingError("cell_gone")
        texts = texts_for(str(interaction.locale))
        view = discord.ui.LayoutView(timeout=None)
        view.stop()
        part = cells[start : start + CELLS_LISTED]
        view.add_item(discord.ui.TextDisplay(texts("script.part", first=part[0][0] + 1, last=part[-1][0] + 1)))
        view.add_item(cells_row(job.id, cells, texts, start=start))
        await interaction.response.send_message(view=view, ephemeral=True)

    async def _post(self, interaction: Interaction, script: Job, place: int) -> None:
        cell_id = await self._scripts.cell(script.id, place)
        cell = await self._jobs.get(cell_id) if cell_id is not None else None
        images = [image for image in await self._images.of_job(cell_id) if not image.deleted] if cell_id else []
        if cell is None or not images:
            raise UserFacingError("cell_gone")
        if not await asyncio.to_thread(self._images.file(images[0]).is_file):
            raise UserFacingError("cell_file_gone")
        where = where_of(interaction)
        await self._intake.require_shown(cell.task, where, str(interaction.locale))
        if await self._intake.veiled([image.id for image in images], where):
            raise UserFacingError("picture_veiled")
        hidden = script.private or await self._intake.is_private(interaction, script.id)
        await interaction.response.defer(ephemeral=hidden, thinking=True)
        limit = min(self._deliverer.limit_bytes(cell), interaction.filesize_limit or DEFAULT_LIMIT_BYTES)

        async def send(card: Card) -> MessageId:
            try:
                sent = await interaction.edit_original_response(view=card.view, attachments=list(card.files()))
            except discord.HTTPException as error:
                if error.status == 413 or error.code == _TOO_LARGE:
                    raise TooLargeError from error
                raise
            return MessageId(sent.id)

        message_id = await self._deliverer.show(cell, limit, send)
        if not hidden or script.private:
            await self._jobs.set_message(cell.id, message_id)
