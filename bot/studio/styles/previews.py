"""The picture that a style was saved from, small, where it may be seen."""

from __future__ import annotations

import asyncio
import io

import discord

from bot.domain.ids import ImageId
from bot.domain.style_names import KeptStyle
from bot.storage.images import Images
from bot.storage.thumbnails import Thumbnails
from bot.studio.intake import Intake
from bot.studio.where import where_of
from bot.ui.client import Interaction

__all__ = ["PREVIEW", "StylePreviews"]

PREVIEW = "style.webp"


class StylePreviews:
    def __init__(self, images: Images, thumbnails: Thumbnails, intake: Intake) -> None:
        self._images = images
        self._thumbnails = thumbnails
        self._intake = intake

    async def of(self, kept: KeptStyle, interaction: Interaction) -> list[discord.File]:
        """At most one; none where the picture was deleted, or may not be seen in this place."""
        image_id = ImageId(kept.preview_image_id or "")
        image = await self._images.get(image_id) if image_id else None
        if image is None or image.deleted or await self._intake.veiled([image_id], where_of(interaction)):
            return []
        small = await asyncio.to_thread(self._thumbnails.get_now, image_id, self._images.file(image))
        return [discord.File(io.BytesIO(small), PREVIEW)] if small is not None else []
