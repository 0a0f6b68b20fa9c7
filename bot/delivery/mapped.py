"""The card of a map: what a preprocessor made of a picture, with what it went by."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.looked import job_card
from bot.delivery.made import headline
from bot.domain.job import Image, Job
from bot.i18n import Texts, texts_for
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.specs import Preprocess

__all__ = ["mapped_card", "numbers_of"]


def mapped_card(
    job: Job,
    image: Image | None,
    filename: str | None,
    *,
    notes: Sequence[str] = (),
    source_owner: int | None = None,
    spoiler: bool = False,
) -> discord.ui.LayoutView:
    """`filename` is None where the picture is too large to be sent."""
    texts = texts_for(job.locale)
    assert isinstance(job.task, Preprocess), "the card of a map"
    gallery: list[discord.MediaGalleryItem] = []
    if filename is not None:
        alt = headline(job, texts)[:1000]
        gallery.append(discord.MediaGalleryItem(f"attachment://{filename}", description=alt, spoiler=spoiler))
    facts = numbers_of(job.task, texts)
    if image is not None:
        facts.insert(0, texts("looked.size", width=image.width, height=image.height))
    row: list[AddressButton] = []
    if image is not None:
        row.append(button(Verb.ENLARGE, image.id, texts("button.enlarge"), emoji="🔍"))
    row.append(button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️"))
    return job_card(job, texts, "", gallery, [row], [" · ".join(facts), *notes], source_owner)


def numbers_of(spec: Preprocess, texts: Texts) -> list[str]:
    """Its resolution and sliders, by the names that A1111 gives them; nothing for one that has none."""
    entry = find_preprocessor(spec.preprocessor)
    if entry is None:
        return []
    found: list[str] = []
    if spec.pixel_perfect:
        found.append(texts("mapped.perfect", width=spec.width, height=spec.height))
    elif entry.resolution is not None:
        found.append(texts("mapped.resolution", n=spec.processor_resolution))
    for slider, value in ((entry.a, spec.threshold_a), (entry.b, spec.threshold_b)):
        if slider is not None:
            found.append(f"{slider.label} {slider.bounded(value):g}")
    return found
