"""Vary region: the picture under a numbered grid, the squares from a list, and a form for what should be there."""

from __future__ import annotations

import asyncio
import io
import random

import discord

from bot.domain.canvases import base_of
from bot.domain.job import Action
from bot.domain.limits import Limits
from bot.domain.regions import PARTS, Amount, Box, around, boxes_of, grid_of, redrawn
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.images import Images, MissingPictureError
from bot.storage.inputs import InputPictures
from bot.studio.attachments import Attachments
from bot.studio.hidden import HIDDEN, taken_back
from bot.studio.intake import Intake
from bot.studio.models import Models
from bot.studio.picture_actions import PictureActions, Shown
from bot.studio.region_pictures import boxes_mask, gridded, uploaded_mask
from bot.studio.where import where_of
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import field_values, fields_of, form_of, radio_field, text_field, upload_field, uploads_of, whole_text
from bot.ui.selects import Row, chosen_values, select_row
from gpu_worker.protocol.specs import ImageRef

__all__ = ["REGION_VERBS", "Regions"]

REGION_VERBS = (Verb.REGION, Verb.REGION_CELLS)
GRID_NAME = "grid.jpg"
NAME_CHARS = 100
EVERYWHERE: Box = (0, 0, 1, 1)
BLUE = 0x5865F2


class Regions:
    def __init__(
        self,
        *,
        pictures: PictureActions,
        images: Images,
        inputs: InputPictures,
        attachments: Attachments,
        intake: Intake,
        models: Models,
        limits: Limits,
    ) -> None:
        self._pictures = pictures
        self._images = images
        self._inputs = inputs
        self._attachments = attachments
        self._intake = intake
        self._models = models
        self._limits = limits
        self._rng = random.SystemRandom()

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; the button's door tells it."""
        shown = await self._pictures.shown(address.id)
        texts = texts_for(str(interaction.locale))
        if address.verb == Verb.REGION_CELLS:
            await interaction.response.send_modal(_form(shown, chosen_values(interaction), texts))
            return
        await interaction.response.defer(ephemeral=True, thinking=True)
        if await self._intake.veiled([shown.image.id], where_of(interaction)):
            raise UserFacingError("picture_veiled")
        try:
            data = await self._images.read(shown.image)
        except MissingPictureError as error:
            raise UserFacingError("source_deleted") from error
        picture = await asyncio.to_thread(gridded, data, _grid(shown))
        await interaction.edit_original_response(
            view=_panel(shown, texts), attachments=[discord.File(io.BytesIO(picture), GRID_NAME)]
        )

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError; StorageFullError."""
        shown = await self._pictures.shown(address.id)
        fields = fields_of(interaction)
        upload = uploads_of(interaction).get("mask")
        private = await self._intake.is_private(interaction, shown.job.id)
        name = " ".join(fields.get("name", "").split())
        # What is most exact counts: a mask of their own, a name, the squares.
        boxes = [] if upload is not None or name else boxes_of(field_values(interaction, "cells"), _grid(shown))
        # A mask is fetched first, and a mask is painted: that may take longer than an answer may.
        await interaction.response.defer(ephemeral=private, thinking=True)
        interaction.extras[HIDDEN] = private
        async with taken_back(interaction, hidden=private):
            size = (shown.image.width, shown.image.height)
            if upload is None and name:
                await self._begin(interaction, shown, name, EVERYWHERE, fields, private=private)
                return
            if upload is not None:
                mask, bounds = await asyncio.to_thread(uploaded_mask, await self._attachments.fetch(upload), size)
            else:
                mask, bounds = await asyncio.to_thread(boxes_mask, boxes, size), around(boxes)
            async with self._inputs.keeping(mask, "image/png") as ref:
                await self._begin(interaction, shown, ref, bounds, fields, private=private)

    async def _begin(
        self,
        interaction: Interaction,
        shown: Shown,
        where: ImageRef | str,
        bounds: Box,
        fields: dict[str, str],
        *,
        private: bool,
    ) -> None:
        facts = self._models.facts(where_of(interaction))
        recorded = base_of(shown.spec, shown.index)["prompt"]
        prompt = whole_text(fields.get("prompt", ""), recorded).strip() or recorded
        amount: Amount = "replace" if fields.get("amount") == "replace" else "change"
        spec = redrawn(
            shown.spec, shown.index, shown.given, where, bounds, amount, self._rng, self._limits,
            prompt=prompt, native_px=self._pictures.native_px(shown.spec, facts),
        )  # fmt: skip
        await self._intake.begin(
            interaction, spec, Action.REGION, source_image_id=shown.image.id, parent_id=shown.job.id,
            private=private,
        )  # fmt: skip


def _grid(shown: Shown) -> tuple[int, int]:
    return grid_of(shown.image.width, shown.image.height)


def _places(shown: Shown, texts: Texts) -> list[Row]:
    """What can be chosen: the squares, and whole parts."""
    columns, rows = _grid(shown)
    found: list[Row] = []
    for cell in range(columns * rows):
        row, column = divmod(cell, columns)
        hint = texts("region.cell_hint", row=row + 1, column=column + 1)
        found.append((str(cell + 1), texts("region.cell", n=cell + 1), hint))
    return found + [(part, texts(f"region.part.{part}"), "") for part in PARTS]


def _panel(shown: Shown, texts: Texts) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per panel: its parts are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
    box.add_item(discord.ui.TextDisplay(f"### {texts('region.title')}\n{texts('region.how')}"))
    gallery: discord.ui.MediaGallery[discord.ui.LayoutView] = discord.ui.MediaGallery(
        discord.MediaGalleryItem(f"attachment://{GRID_NAME}", description=texts("region.title"))
    )
    box.add_item(gallery)
    places = _places(shown, texts)
    box.add_item(select_row(Verb.REGION_CELLS, shown.image.id, texts("region.pick"), places, at_most=len(places)))
    form = button(Verb.REGION_CELLS, shown.image.id, texts("button.region_form"), n=1, emoji="🖌️")
    last: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(in_layout(form))
    box.add_item(last)
    view.add_item(box)
    return view


def _form(shown: Shown, chosen: list[str], texts: Texts) -> discord.ui.Modal:
    form = form_of(texts("region.form.title"), encode(Verb.REGION_FORM, shown.image.id))
    places = _places(shown, texts)
    cells: discord.ui.Select[discord.ui.Modal] = discord.ui.Select(
        custom_id="cells",
        required=False,
        min_values=0,
        max_values=len(places),
        options=[
            discord.SelectOption(label=label[:100], value=value, default=value in chosen) for value, label, _ in places
        ],
    )
    hint = texts("region.form.cells_hint")[:100]
    form.add_item(discord.ui.Label(text=texts("region.form.cells")[:45], description=hint, component=cells))
    text_field(
        form, "name", texts("region.form.name"), texts("region.form.name_hint"), "", paragraph=False,
        max_length=NAME_CHARS,
    )  # fmt: skip
    text_field(
        form, "prompt", texts("region.form.prompt"), texts("region.form.prompt_hint"),
        base_of(shown.spec, shown.index)["prompt"], required=True,
    )  # fmt: skip
    amounts = [("change", texts("region.form.change")), ("replace", texts("region.form.replace"))]
    radio_field(form, "amount", texts("region.form.amount"), "", amounts, "change")
    upload_field(form, "mask", texts("region.form.mask"), texts("region.form.mask_hint"))
    return form
