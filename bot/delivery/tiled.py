"""The card of a picture that was enlarged and drawn again tile by tile, where it is nobody's drawing of ours."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.cards import Picture
from bot.delivery.looked import job_card
from bot.delivery.made import headline
from bot.domain.job import Job
from bot.domain.mentions import neutral, spoken
from bot.i18n import Texts, texts_for
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb
from gpu_worker.protocol.specs import Ultimate

__all__ = ["tiled_card", "tiles_line"]


def tiles_line(spec: Ultimate, texts: Texts) -> str:
    """How it was enlarged, in a line."""
    tile = spec.tile_width or spec.tile_height
    parts = [
        texts("ultimate.by", upscaler=spoken(spec.upscaler)),
        texts("ultimate.tiles", n=len(spec.tiles()), px=tile),
        texts("ultimate.strength", denoise=f"{spec.drawing.denoising_strength:g}"),
    ]
    if spec.seams != "none":
        parts.append(texts("ultimate.mended", seams=texts(f"ultimate.seams.{spec.seams.replace(' ', '_')}")))
    return " · ".join(parts)


def tiled_card(
    job: Job, pictures: Sequence[Picture], *, notes: Sequence[str] = (), source_owner: int | None = None
) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    assert isinstance(job.task, Ultimate), "the card of tiles"
    gallery = [
        discord.MediaGalleryItem(
            f"attachment://{each.filename}", description=headline(job, texts)[:1000], spoiler=each.spoiler
        )
        for each in pictures
        if each.filename is not None
    ]
    drawing = job.task.drawing
    facts = [
        texts("looked.size", width=job.task.width, height=job.task.height), texts("card.steps", n=drawing.steps),
        texts("card.seed", seed=drawing.seed), neutral(drawing.checkpoint),
    ]  # fmt: skip
    row: list[AddressButton] = []
    if pictures:
        last = pictures[-1].image
        row = [
            button(Verb.ULTIMATE, last.id, texts("button.ultimate"), emoji="🧩"),
            button(Verb.INFO, last.id, texts("button.picture_info"), emoji="📋"),
        ]
    row.append(button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"))
    lines = [" · ".join(facts), tiles_line(job.task, texts), *notes]
    return job_card(job, texts, "", gallery, [row], lines, source_owner)
